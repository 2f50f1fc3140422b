// A run's owner sends it to another hub.
import { z } from 'zod';
import { hash } from '../../protocol/schemas.ts';
import { applyLeaving, refusalOfLeaving } from '../moving/leaving.ts';
import { attemptOfRun, hubUrl, v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the run's owner, of a paused run: it is to go on in the log of the hub `to`, which answers at `url`. Resuming takes it back until the hub has let it go. Another attempt begins. */
export const RunLeavingSchema = z.strictObject({
  type: z.literal('run.leaving'),
  ...v1,
  ...attemptOfRun,
  to: hash,
  url: hubUrl,
});
export type RunLeaving = z.infer<typeof RunLeavingSchema>;

export const runLeaving = runEvent(RunLeavingSchema, {
  about: 'run',
  words: ({ to, url }, who, say) => `${who} wants the run to go on at the hub ${say.short(to)}, ${say.quoted(url)}`,
  refusalOf: (state, run, { author, body }) => refusalOfLeaving(state, run, author, body),
  apply: (_state, run, { body }) => applyLeaving(run, body),
});
