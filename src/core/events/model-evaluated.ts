// A validator measures the present model by the run's metrics.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { noteMeasured } from '../rounds/worse-models.ts';
import type { RunState } from '../state.ts';
import { measures, v2 } from './fields.ts';
import { type Logged, runEvent } from './kind.ts';

/** By a validator, once a model: what it measured of the present model, a number for each of the run's metrics. */
export const ModelEvaluatedSchema = z.strictObject({
  type: z.literal('model.evaluated'),
  ...v2,
  run: hash,
  merged_rounds: count,
  model: hash,
  measured: measures,
});
export type ModelEvaluated = z.infer<typeof ModelEvaluatedSchema>;

export const modelEvaluated = runEvent(ModelEvaluatedSchema, {
  about: 'model',
  words: ({ measured, merged_rounds }, who, say) =>
    `${who} measured the model after ${say.count(merged_rounds, 'round')}: ${say.measures(measured)}`,
  refusalOf: (_state, run, event) => refusalOfEvaluation(run, event),
  apply(_state, run, { author, body: { merged_rounds, measured } }) {
    run.peers.get(author)!.evaluated_rounds = merged_rounds;
    run.evaluation = { merged_rounds, measured };
    run.first_evaluation ??= run.evaluation;
    noteMeasured(run, author, measured);
  },
});

function refusalOfEvaluation(run: RunState, { author, body }: Logged<ModelEvaluated>): Refusal | null {
  const peer = run.peers.get(author);
  if (peer?.role !== 'validator') return refuse('not-a-validator', `${author} is not a validator here`);
  if (body.model !== run.model || body.merged_rounds !== run.round) {
    const got = `${body.model} after ${body.merged_rounds}`;
    return refuse('wrong-model', `expected the present model ${run.model} after ${run.round} rounds, got ${got}`);
  }
  const names = run.spec.metrics.map(({ name }) => name).sort();
  const got = Object.keys(body.measured).sort();
  if (got.join() !== names.join()) {
    return refuse('wrong-metrics', `expected the run's metrics, ${names.join(', ')}; got ${got.join(', ')}`);
  }
  if (peer.evaluated_rounds !== run.round) return null;
  return refuse('already-evaluated', `${author} has evaluated the model after ${run.round} rounds`);
}
