// The sum over a device's answers: honest devices stay below, a small constant excess is found, and never by one word alone.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { addToSum, isFound, isNear, type MarginSum, NO_SUM, type SumLimits } from './margin-sum.ts';

const LIMITS: SumLimits = { usual_per_draw: 0.001, sum: 2 };
const someLimits = fc.record({
  usual_per_draw: fc.double({ min: 1e-5, max: 0.1, noNaN: true }),
  sum: fc.double({ min: 0.1, max: 100, noNaN: true }),
});
const someAnswers = (words: number) =>
  fc.array(
    fc.record({
      word: fc.nat({ max: words - 1 }).map(String),
      draws: fc.integer({ min: 1, max: 500 }),
      margin: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1000, noNaN: true })),
    }),
    { maxLength: 60 },
  );
const total = ({ by_word }: MarginSum): number => [...by_word.values()].reduce((sum, part) => sum + part, 0);

test('no single word finds anybody, whatever it says and how often', () => {
  const drawn = fc.property(someLimits, someAnswers(1), (limits, answers) => {
    let sum = NO_SUM;
    for (const answer of answers) sum = addToSum(sum, answer, limits);
    assert.ok(sum.excess <= limits.sum / 2 + 1e-9 && !isFound(sum, limits));
  });
  fc.assert(drawn);
});

test('is never below nothing, and what its words give', () => {
  const drawn = fc.property(someLimits, someAnswers(4), (limits, answers) => {
    let sum = NO_SUM;
    for (const answer of answers) {
      const before = sum.excess;
      sum = addToSum(sum, answer, limits);
      assert.ok(sum.excess >= 0);
      assert.ok(Math.abs(sum.excess - total(sum)) <= 1e-6 * limits.sum);
      assert.ok(sum.excess - before <= limits.sum / 4 + 1e-9, 'one answer says little');
      assert.ok(sum.excess <= Math.max(0, before + answer.margin - limits.usual_per_draw * answer.draws) + 1e-9);
    }
  });
  fc.assert(drawn);
});

test('a constant excess is found by two words, in as many answers as it takes to add up, however small it is', () => {
  const drawn = fc.property(someLimits, fc.double({ min: 1.2, max: 50, noNaN: true }), (limits, times) => {
    const margin = times * limits.usual_per_draw * 100;
    const each = Math.min(margin - limits.usual_per_draw * 100, limits.sum / 4);
    const expected = Math.ceil(limits.sum / each) + 2;
    fc.pre(expected < 20_000);
    let sum = NO_SUM;
    let answers = 0;
    for (; !isFound(sum, limits) && answers <= expected; answers++) {
      sum = addToSum(sum, { word: String(answers % 2), draws: 100, margin }, limits);
    }
    assert.ok(answers <= expected, `${answers} answers, expected ${expected}`);
  });
  fc.assert(drawn, { numRuns: 40 });
});

test('remembers few words, however many there are, and those beyond find nobody alone', () => {
  let sum = NO_SUM;
  for (let i = 0; i < 1000; i++) sum = addToSum(sum, { word: `owner ${i}`, draws: 1, margin: 0.0011 }, LIMITS);
  assert.ok(sum.by_word.size <= 33, `${sum.by_word.size} words`);
  for (let i = 0; i < 1000; i++) sum = addToSum(sum, { word: `owner ${1000 + i}`, draws: 1, margin: 99 }, LIMITS);
  assert.ok(!isFound(sum, LIMITS));
  for (let i = 0; i < 2; i++) sum = addToSum(sum, { word: 'owner 3', draws: 1, margin: 99 }, LIMITS);
  assert.ok(isFound(sum, LIMITS));
});

test('honest answers take back what a bad one added, and the words with it', () => {
  let sum = addToSum(NO_SUM, { word: 'a', draws: 100, margin: 5 }, LIMITS);
  assert.deepEqual([sum.excess, [...sum.by_word]], [0.5, [['a', 0.5]]]);
  assert.ok(!isNear(sum, LIMITS));
  sum = addToSum(sum, { word: 'b', draws: 100, margin: 0.15 }, LIMITS);
  assert.ok(isNear(sum, LIMITS) && !isFound(sum, LIMITS));
  for (let i = 0; i < 5; i++) sum = addToSum(sum, { word: 'b', draws: 100, margin: 0 }, LIMITS);
  assert.ok(Math.abs(sum.excess - 0.05) < 1e-9);
  assert.equal(addToSum(sum, { word: 'c', draws: 100, margin: 0 }, LIMITS), NO_SUM);
});

test('two words that say the most of a few answers are enough, and half of it is not', () => {
  let sum = NO_SUM;
  for (const word of ['a', 'a', 'b', 'b']) sum = addToSum(sum, { word, draws: 1, margin: 99 }, LIMITS);
  assert.ok(isFound(sum, LIMITS));
  assert.ok(!isFound({ ...sum, excess: 1.99 }, LIMITS));
});
