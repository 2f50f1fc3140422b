// The accepted work of a round makes the next model, and is paid.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { applyMerge, refusalOfMerge } from '../rounds/merging.ts';
import { v2 } from './fields.ts';
import { runEvent } from './kind.ts';

/** By the hub: which work makes the next model. The core refuses any other list than the one that follows from the log (rounds/merged-list.ts). */
export const RoundMergedSchema = z.strictObject({
  type: z.literal('round.merged'),
  ...v2,
  run: hash,
  round: count,
  attempt: count,
  accepted_count: count,
  accepted_root: hash,
  model: hash,
  /** The accepted work as one blob, null when nothing was accepted. */
  bundle: hash.nullable(),
  /** Whether `model` itself is kept as a blob. */
  checkpoint: z.boolean(),
  /** In games that cut steps: what makes `model` from the model before, as a blob; who follows needs nothing else. */
  step: hash.optional(),
  /** With a step and a checkpoint: what steps have left out until here, as a blob; the next merge begins with it. */
  rest: hash.optional(),
});
export type RoundMerged = z.infer<typeof RoundMergedSchema>;

export const roundMerged = runEvent(RoundMergedSchema, {
  by_hub: 'a merge is signed',
  about: 'model',
  changes_balances: true,
  blobs: ({ bundle, step, checkpoint, model, rest }) =>
    [bundle, step, checkpoint ? model : null, rest].filter((hash) => typeof hash === 'string'),
  words: ({ bundle, round, accepted_count, model }, _who, say) =>
    bundle === null
      ? `round ${round} brought nothing that could be merged`
      : `round ${round} merged ${say.count(accepted_count, 'update')} into model ${say.short(model)}`,
  refusalOf: (state, run, { body }) => refusalOfMerge(state, run, body),
  apply: (state, run, { body }) => applyMerge(state, run, body),
});
