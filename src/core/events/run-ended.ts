// A run ends before its rounds are over.
import { z } from 'zod';
import { applyOwnersWord, refusalOfOwnersWord } from '../rounds/run-life.ts';
import { attemptOfRun, dropsOrMerges } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the run's owner, for good: no round opens any more. What was merged stays as it is. By the hub, for a run that everybody has abandoned. */
export const RunEndedSchema = z.strictObject({ type: z.literal('run.ended'), ...dropsOrMerges, ...attemptOfRun });
export type RunEnded = z.infer<typeof RunEndedSchema>;

export const runEnded = runEvent(RunEndedSchema, {
  about: 'run',
  // Nothing is withheld any more.
  changes_balances: true,
  words: ({ version, round }, who) => `${who} ended the run ${version === 1 ? 'in' : 'after'} round ${round}, for good`,
  refusalOf: (state, run, { author, body }) => refusalOfOwnersWord(state, run, author, body),
  apply: (_state, run, { body }) => applyOwnersWord(run, body),
});
