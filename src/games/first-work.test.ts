// How many steps a first work has, and that a game keeps to what its round allows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { round } from './example-pretrain.ts';
import { firstSteps, stepsAllowed } from './first-work.ts';

test('a first work is a tenth of the steps in whole steps, and two at least', () => {
  assert.deepEqual([1, 4, 20, 21, 30, 1000].map(firstSteps), [2, 2, 2, 3, 3, 100]);
});

test('a worker takes all steps, or as many as are no more than it may claim', () => {
  const allowed = (most_tokens?: number) => stepsAllowed(30, 64, { ...round(0), most_tokens });
  assert.deepEqual([undefined, 10_000, 30 * 64, 30 * 64 - 1, 128, 127].map(allowed), [30, 30, 30, 29, 2, 1]);
  assert.equal(allowed(1), 1, 'one at least: that it is too much is for the hub to say');
});
