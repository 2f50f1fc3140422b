// A piece of what a run brings from another hub's log.
import { z } from 'zod';
import { bytes, count, hash } from '../../protocol/schemas.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { applyPart, refusalOfPart } from '../moving/arriving.ts';
import { v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** By whoever brings the run: the next bytes, and blobs that the run needs here. With the last of them the run is in this log, paused. */
export const RunPartSchema = z.strictObject({
  type: z.literal('run.part'),
  ...v1,
  run: hash,
  part: count,
  bytes: bytes(LOGS_LIMITS.part_bytes),
  blobs: z.array(hash).max(LOGS_LIMITS.part_blobs),
});
export type RunPart = z.infer<typeof RunPartSchema>;

export const runPart = networkEvent(RunPartSchema, {
  about: 'run',
  blobs: ({ blobs }) => blobs,
  words: ({ part, bytes }, who, say) =>
    `${who} brought part ${part + 1} of the run’s state, ${say.bytes(bytes.length)}`,
  refusalOf: (state, { author, body }) => refusalOfPart(state, author, body),
  apply: (state, { body }) => applyPart(state, body),
});
