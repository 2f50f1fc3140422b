// A validator measures the present model on the held-out data.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { noteLoss } from '../rounds/rising-loss.ts';
import type { RunState } from '../state.ts';
import { micro, v1 } from './fields.ts';
import { type Logged, runEvent } from './kind.ts';

/** By a validator, once a model: the present model's loss on the held-out data. */
export const ModelEvaluatedSchema = z.strictObject({
  type: z.literal('model.evaluated'),
  ...v1,
  run: hash,
  merged_rounds: count,
  model: hash,
  loss_micro: micro,
  tokens: z.int().min(1),
});
export type ModelEvaluated = z.infer<typeof ModelEvaluatedSchema>;

export const modelEvaluated = runEvent(ModelEvaluatedSchema, {
  about: 'model',
  words: ({ loss_micro, merged_rounds }, who, say) =>
    `${who} measured a validation loss of ${say.loss(loss_micro)} after ${say.count(merged_rounds, 'round')}`,
  refusalOf: (_state, run, event) => refusalOfEvaluation(run, event),
  apply(_state, run, { author, body: { merged_rounds, loss_micro } }) {
    run.peers.get(author)!.evaluated_rounds = merged_rounds;
    run.evaluation = { merged_rounds, loss_micro };
    run.first_evaluation ??= run.evaluation;
    noteLoss(run, author, loss_micro);
  },
});

function refusalOfEvaluation(run: RunState, { author, body }: Logged<ModelEvaluated>): Refusal | null {
  const peer = run.peers.get(author);
  if (peer?.role !== 'validator') return refuse('not-a-validator', `${author} is not a validator here`);
  if (body.model !== run.model || body.merged_rounds !== run.round) {
    const got = `${body.model} after ${body.merged_rounds}`;
    return refuse('wrong-model', `expected the present model ${run.model} after ${run.round} rounds, got ${got}`);
  }
  if (peer.evaluated_rounds !== run.round) return null;
  return refuse('already-evaluated', `${author} has evaluated the model after ${run.round} rounds`);
}
