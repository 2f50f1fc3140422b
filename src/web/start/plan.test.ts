// The forecast of a run: sizes as the model code counts them, times that follow from who is at work, and never later than the deadlines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { FIRST_DRAFT, planOf, SIZES } from './draft.ts';
import { forecast, modelOf, parametersOf, VOCABULARY } from './plan.ts';

const { plan: FIRST } = planOf(FIRST_DRAFT);
assert.ok(FIRST);
const PLAN = { ...FIRST, rounds: 10 };

test('counts the parameters of every size, with the vocabulary that the tokenizer has', () => {
  assert.equal(byteTokenizer().vocab_size, VOCABULARY);
  const sizes = (['small', 'medium', 'large'] as const).map((size) =>
    parametersOf({ ...modelOf({ ...SIZES[size], tied: false }), vocab_size: VOCABULARY }),
  );
  assert.ok(sizes[0] > 500_000 && sizes[0] < sizes[1] && sizes[1] < sizes[2], sizes.join());
});

test('nobody at work: only the deadlines are known', () => {
  const { expected_ms, slowest_steps, most_ms, tokens_a_round } = forecast(PLAN, []);
  assert.deepEqual([expected_ms, slowest_steps, most_ms, tokens_a_round], [null, null, 300_000, 30 * 12 * 64]);
});

test('the slowest device decides, scaled by the size of the model, and never beyond the deadline', () => {
  const { parameters } = forecast(PLAN, []);
  const fast = { tokens_per_second: 4608, parameters }; // a round of 23,040 tokens in 5 s
  assert.equal(forecast(PLAN, [fast]).expected_ms, 50_000);
  assert.equal(forecast(PLAN, [fast]).slowest_steps, 30);
  const slow = { tokens_per_second: 384, parameters }; // half a step a second
  assert.equal(forecast(PLAN, [fast, slow]).expected_ms, 300_000);
  assert.equal(forecast(PLAN, [fast, slow]).slowest_steps, 15);
  const onTwiceTheModel = { tokens_per_second: 2304, parameters: 2 * parameters };
  assert.equal(forecast(PLAN, [onTwiceTheModel]).expected_ms, 50_000);
});

test('a device that reports no speed gives no forecast instead of an endless one', () => {
  assert.equal(forecast(PLAN, [{ tokens_per_second: 0, parameters: 1000 }]).expected_ms, null);
});
