// How many steps a first work has, and that a game keeps to what its round allows.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleRules } from '../core/testing/example-events.ts';
import { firstSteps, stepsAllowed, withFirstWork } from './first-work.ts';
import type { AnyGame } from './game.ts';
import { round } from './testing/example-pretrain.ts';

test('a first work is a tenth of the steps in whole steps, and two at least', () => {
  assert.deepEqual([1, 4, 20, 21, 30, 1000].map(firstSteps), [2, 2, 2, 3, 3, 100]);
});

test('a worker takes all steps, or as many as are no more than it may claim', () => {
  const allowed = (most_amount?: number) => stepsAllowed(30, 64, { ...round(0), most_amount });
  assert.deepEqual([undefined, 10_000, 30 * 64, 30 * 64 - 1, 128, 127].map(allowed), [30, 30, 30, 29, 2, 1]);
  assert.equal(allowed(1), 1, 'one at least: that it is too much is for the hub to say');
});

test('the rules of a run say what its game says, unless its owner has said it; of a game that says nothing they say nothing', async () => {
  const rules = exampleRules({
    ...{ shares_per_round: 1, halving_rounds: 0 },
    ...{ owner_permille: 0, workers_permille: 500, validators_permille: 500 },
  });
  const game = { firstAmount: (steps: number) => 10 * steps } as AnyGame;
  assert.equal((await withFirstWork(rules, game, 7)).first_amount, 70);
  assert.equal((await withFirstWork({ ...rules, first_amount: 5 }, game, 7)).first_amount, 5);
  assert.equal('first_amount' in (await withFirstWork(rules, {} as AnyGame, 7)), false);
});
