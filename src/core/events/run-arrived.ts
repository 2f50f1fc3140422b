// A run comes from another hub's log.
import { z } from 'zod';
import { bytes, hash } from '../../protocol/schemas.ts';
import { LOGS_LIMITS } from '../limits.ts';
import { applyArrival, refusalOfArrival } from '../moving/arriving.ts';
import { ForeignEventSchema } from '../moving/foreign-event.ts';
import { hubUrl, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** A run.created is shorter, with 256 validators named too. */
const CREATED_BYTES = 40_960;

/**
 * By the run's owner: the other log has let the run go to this hub, as its `run.moved` shows, and the run is the one that `created` (the bytes of its
 * first event, whose hash is the run's name) says. What it takes along follows in parts.
 */
export const RunArrivedSchema = z.strictObject({
  type: z.literal('run.arrived'),
  ...v1,
  run: hash,
  created: bytes(CREATED_BYTES),
  moved: ForeignEventSchema,
  /** The departures before that one, the oldest first. Needed where the run's first event names its hub: then no hub can let it go that never had it. */
  way: z
    .array(ForeignEventSchema)
    .max(LOGS_LIMITS.moves - 1)
    .optional(),
  /** Where the other log can be read. */
  url: hubUrl,
});
export type RunArrived = z.infer<typeof RunArrivedSchema>;

export const runArrived = networkEvent(RunArrivedSchema, {
  about: 'run',
  words: ({ moved }, who, say) => `${who} brought a run from the log of the hub ${say.short(moved.hub)}`,
  refusalOf: (state, { author, body }) => refusalOfArrival(state, author, body),
  apply: (state, { body }) => applyArrival(state, body),
});
