// A run pauses by itself, because what it learns gets worse.
import { z } from 'zod';
import { applyHalt, refusalOfHalt } from '../rounds/worse-models.ts';
import { attemptOfRun, v2 } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the hub, where the core allows it (worse-models.ts): the run is paused until its owner resumes it. */
export const RunHaltedSchema = z.strictObject({
  type: z.literal('run.halted'),
  ...v2,
  ...attemptOfRun,
  reason: z.literal('models-get-worse'),
});
export type RunHalted = z.infer<typeof RunHaltedSchema>;

export const runHalted = runEvent(RunHaltedSchema, {
  by_hub: 'a run is halted',
  about: 'run',
  words: ({ round }) => `the hub paused the run before round ${round}, because its models stay far worse than its best`,
  refusalOf: (_state, run, { body }) => refusalOfHalt(run, body),
  apply: (_state, run, { body }) => applyHalt(run, body),
});
