// What a transcript comes to: whole micro-batches, and a quarter of what never came back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PipelineParamsSchema, stagePlans } from './params.ts';
import { Tally } from './tally.ts';

const HASH = 'a'.repeat(64);

test('a micro-batch that never came back counts a quarter of one that did', () => {
  const params = PipelineParamsSchema.parse({
    ...{ batch: 100, context: 16, inner_steps: 1, stages: 2, dataset: HASH },
    ...{ learning_rate: 0.01, min_learning_rate: 0.01, warmup_steps: 0 },
    model: { vocab_size: 8, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 1 },
  });
  const [first] = stagePlans(params);
  const tally = new Tally(params, first);
  const forward = (number: number) =>
    ({ kind: 'forward', of: { origin: HASH, number }, came: null, went: HASH }) as const;
  tally.add(forward(0));
  const quarter = tally.told().amount;
  assert.ok(quarter > 0);
  tally.add({ kind: 'backward', forward: 0, came: { by: HASH, hash: HASH }, went: null });
  const whole = tally.told().amount;
  assert.equal(Math.floor(whole / 4), quarter);
  tally.add(forward(1));
  assert.deepEqual(tally.told(), { amount: whole + quarter, numbers: { micro_batches: 1, steps: 0 } });
});
