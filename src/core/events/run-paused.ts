// A run pauses: no round opens until its owner lets it go on.
import { z } from 'zod';
import { applyOwnersWord, refusalOfOwnersWord } from '../rounds/run-life.ts';
import { attemptOfRun, dropsOrMerges } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the run's owner. */
export const RunPausedSchema = z.strictObject({ type: z.literal('run.paused'), ...dropsOrMerges, ...attemptOfRun });
export type RunPaused = z.infer<typeof RunPausedSchema>;

export const runPaused = runEvent(RunPausedSchema, {
  about: 'run',
  words: ({ version, round }, who) => `${who} paused the run ${version === 1 ? 'in' : 'after'} round ${round}`,
  refusalOf: (state, run, { author, body }) => refusalOfOwnersWord(state, run, author, body),
  apply: (_state, run, { body }) => applyOwnersWord(run, body),
});
