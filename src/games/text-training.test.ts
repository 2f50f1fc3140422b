// Whose model can be used as a Llama model, and how a state becomes all of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TensorSource } from './game.ts';
import { PipelineParamsSchema } from './pipeline/params.ts';
import { PretrainParamsSchema } from './pretrain/params.ts';
import { game as pretrain } from './pretrain.ts';
import { STAGED_SPECS, stagedGame, stagedWeights } from './testing/example-staged.ts';
import { mustBeLlama, trainsOnText, weightsOfState } from './text-training.ts';

const SETTINGS = {
  model: {
    ...{ vocab_size: 40, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 3, num_attention_heads: 2 },
  },
  ...{ dataset: '0'.repeat(64), batch: 2, context: 8, inner_steps: 4, warmup_steps: 0 },
  ...{ learning_rate: 0.01, min_learning_rate: 0.01 },
};
const whole = PretrainParamsSchema.parse(SETTINGS);
const cut = (boundary: object) => PipelineParamsSchema.parse({ ...SETTINGS, stages: 2, boundary });

test('boundaries of codes alone leave the model what it is; bottlenecks and tables do not', () => {
  assert.deepEqual(['pretrain', 'pipeline', 'serve', 'toString'].map(trainsOnText), [true, true, false, false]);
  for (const params of [whole, cut({}), cut({ bits: 4, gradient_bits: 8 })]) mustBeLlama('r', params);
  for (const [boundary, message] of [
    [{ width: 4 }, /run r has bottlenecks of 4 values between its stages/],
    [{ tokens: 'frozen' }, /run r has tables of tokens between its stages/],
    [{ width: 4, tokens: 'trained' }, /bottlenecks of 4 values/],
  ] as const) {
    assert.throws(() => mustBeLlama('r', cut(boundary)), { code: 'unsupported', message });
  }
});

test('a state in stages is read whole, in the order of its tensors; another one is its weights', async () => {
  const weights = stagedWeights();
  assert.equal(await weightsOfState(pretrain, whole, weights), weights);
  const asked: string[][] = [];
  const source: TensorSource = {
    async read(names) {
      asked.push([...names]);
      return weights;
    },
  };
  assert.equal(await weightsOfState(stagedGame(), cut({}), source), weights);
  assert.deepEqual(asked, [STAGED_SPECS.map(({ name }) => name)]);
});
