// A paused run goes on.
import { z } from 'zod';
import { applyOwnersWord, refusalOfOwnersWord } from '../rounds/run-life.ts';
import { attemptOfRun, v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the run's owner. */
export const RunResumedSchema = z.strictObject({ type: z.literal('run.resumed'), ...v1, ...attemptOfRun });
export type RunResumed = z.infer<typeof RunResumedSchema>;

export const runResumed = runEvent(RunResumedSchema, {
  about: 'run',
  words: ({ round }, who) => `${who} let the run go on from round ${round}`,
  refusalOf: (state, run, { author, body }) => refusalOfOwnersWord(state, run, author, body),
  apply: (_state, run, { body }) => applyOwnersWord(run, body),
});
