// Calibrated limits: honest answers keep them, and they are finite, round and never zero.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addToSum, isFound, NO_SUM } from '../model/margin-sum.ts';
import { seededRandom } from '../protocol/random.ts';
import { FOUND_BY_MISTAKE, JUDGED_A_MONTH, limitsFrom } from './calibration.ts';
import { faultOf } from './judge-answer.ts';

const judgedOf = (draws: number, margin: number, end_margin = 0, logprob_distance: number | null = null) => ({
  ...{ flaw: null, prompt_tokens: 8, logprob_distance },
  tally: { draws, margin, differing: 1, end_margin, impossible: 0 },
});

test('every honest answer that was measured keeps the limits', () => {
  const judged = fc.tuple(
    fc.integer({ min: 1, max: 500 }),
    fc.double({ min: 0, max: 3, noNaN: true }),
    fc.double({ min: 0, max: 2, noNaN: true }),
    fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  );
  fc.assert(
    fc.property(fc.array(judged, { maxLength: 40 }), (list) => {
      const honest = list.map((one) => judgedOf(...one));
      const limits = limitsFrom(honest);
      for (const one of honest) assert.equal(faultOf(one, limits), null);
      for (const value of Object.values(limits)) assert.ok(value > 0 && value === Number(value.toPrecision(2)));
    }),
  );
});

test('answers that are four times as bad as the worst do not', () => {
  const honest = Array.from({ length: 50 }, (_, i) => judgedOf(100, i === 7 ? 0.4 : 0.01, 0.3, 0.01));
  const limits = limitsFrom(honest);
  assert.equal(faultOf(judgedOf(100, 1.6, 0, 0), limits), 'margin');
  assert.equal(faultOf(judgedOf(100, 0.1, 1.2, 0), limits), 'end');
  assert.equal(faultOf(judgedOf(100, 0.1, 0, 0.04), limits), 'logprobs');
});

/** Adds answers, each judged by somebody else, until the sum finds the device; null: it does not. */
function foundAfter(margins: Iterable<number>, limits: ReturnType<typeof limitsFrom>): number | null {
  let sum = NO_SUM;
  let answers = 0;
  for (const margin of margins) {
    sum = addToSum(sum, { word: String(answers++ % 5), draws: 100, margin }, limits);
    if (isFound(sum, limits)) return answers;
  }
  return null;
}

test('the sum finds honest devices as seldom as promised, and thirty times their excess within some answers', () => {
  // One answer in ten has a margin, as large as an exponential draw; a hundred of them were measured.
  const random = seededRandom('calibration');
  const margin = (mean: number) => (random.below(10) === 0 ? -mean * Math.log((random.below(1e9) + 1) / 1e9) : 0);
  const limits = limitsFrom(Array.from({ length: 300 }, () => judgedOf(100, margin(0.05))));
  const month = function* (mean: number) {
    for (let i = 0; i < JUDGED_A_MONTH; i++) yield margin(mean);
  };
  const found = Array.from({ length: 30 }, () => foundAfter(month(0.05), limits)).filter((one) => one !== null);
  assert.deepEqual(found, []);
  for (let i = 0; i < 10; i++) {
    const answers = foundAfter(month(1.5), limits);
    assert.ok(answers !== null && answers <= 200, `${answers} answers, ${JSON.stringify(limits)}`);
  }
});

test('one answer three times as bad as the worst may come for all that were measured', () => {
  for (const [answers, worst] of [
    [50, 0.4],
    [1000, 0.2],
  ] as const) {
    // biome-ignore format: one line
    const honest = Array.from({ length: answers }, (_, i) => judgedOf(100, i === 3 ? worst : 0));
    // It alone makes the mean of exp(θ · x) more than 1 from about θ = ln(answers) / x on.
    const least = (3 * worst * Math.log(JUDGED_A_MONTH / FOUND_BY_MISTAKE)) / Math.log(2 * answers);
    const { sum } = limitsFrom(honest);
    assert.ok(sum >= least && sum < 3 * least, `${sum}, ${least}`);
  }
});

test('the height of the sum follows from how often answers are bad, not only from how bad', () => {
  const height = (bad: number): number =>
    limitsFrom(Array.from({ length: 1000 }, (_, i) => judgedOf(100, i < bad ? 0.5 : 0))).sum;
  assert.ok(height(1) < height(6), `${height(1)}, ${height(6)}`); // so few that the usual excess is the least one
  const { usual_per_draw, sum } = limitsFrom([]);
  assert.deepEqual([usual_per_draw, sum], [1e-4, 0.5], 'where nothing was measured');
});
