// A month under limits of judging: honest devices stay, liars are out for most of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../protocol/random.ts';
import type { Judged, JudgingLimits } from '../serving/judge-answer.ts';
import { answersUntilOut, earnedInMonth, monthsKept } from './serve-limits-month.ts';

const LIMITS: JudgingLimits = {
  ...{ per_draw: 1e-3, allowance: 0.5, end_margin: 0.5, logprob_distance: 0.01 },
  ...{ usual_per_draw: 1e-3, sum: 2 },
};
const judged = (margin: number): Judged => ({
  ...{ flaw: null, prompt_tokens: 8, logprob_distance: null },
  tally: { draws: 100, margin, differing: 1, end_margin: 0, impossible: 0 },
});

test('a liar is out by a single answer, or by the sum of many, or never', () => {
  assert.equal(answersUntilOut([judged(3)], LIMITS), 1);
  // 0.4 above what is usual each time, 2 are too much.
  assert.equal(answersUntilOut([judged(0.5)], LIMITS), 5);
  assert.equal(answersUntilOut([judged(0.5), judged(3)], LIMITS), 1.5);
  assert.equal(answersUntilOut([judged(0.05)], LIMITS), null);
});

test('who is out again and again earns little, who is never found all', () => {
  assert.equal(earnedInMonth(null), 1);
  assert.ok(earnedInMonth(1) < 0.0005);
  assert.ok(earnedInMonth(10) > 9 * earnedInMonth(1) && earnedInMonth(10) < 0.005);
  assert.ok(earnedInMonth(1000) > 0.1 && earnedInMonth(1000) < 1);
});

test('months of honest devices are kept, and of those a little worse than the limits are not', () => {
  const random = seededRandom('months');
  assert.equal(monthsKept([judged(0.05), judged(0.1)], LIMITS, 2, random), 1);
  assert.equal(monthsKept([judged(0.05), judged(0.2)], LIMITS, 2, random), 0);
});
