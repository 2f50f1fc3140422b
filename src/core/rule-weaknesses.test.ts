// The usual rules have no weakness; each one that opens a hole is named.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { weaknessesOf } from './rule-weaknesses.ts';
import type { Rules } from './rules.ts';

const USUAL: Rules = {
  ...{ judges: 3, withheld_rounds: 40, probation: 1, reexecute_permille: 50, notice_rounds: 5, validators: [] },
  emission: {
    ...{ shares_per_round: 1, halving_rounds: 0 },
    ...{ owner_permille: 180, workers_permille: 410, validators_permille: 410 },
  },
};

test('the usual rules leave nothing open', () => assert.deepEqual(weaknessesOf(USUAL), []));

test('each hole is named', () => {
  for (const [change, words] of [
    [{ withheld_rounds: 8 }, /in 167 of 1000 cases, since it can lose only what 8 rounds/],
    [{ withheld_rounds: 0 }, /in 3000 of 1000 cases/],
    [{ reexecute_permille: 200 }, /in 200 of 1000 cases/],
    [{ judges: 1 }, /one judge/],
  ] as const) {
    const found = weaknessesOf({ ...USUAL, ...change });
    assert.equal(found.length, 1);
    assert.match(found[0], words);
  }
  assert.deepEqual(weaknessesOf({ ...USUAL, withheld_rounds: 9, reexecute_permille: 0 }), []);
});
