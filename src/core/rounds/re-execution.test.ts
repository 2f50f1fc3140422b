// A lie loses what it gains: work is repeated by as many judges as the worker's bond asks for, and the bond is what it can really lose.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RunState } from '../state.ts';
import { bondPermille, repeatersPermille } from './re-execution.ts';

const RULES = { probation: 1, reexecute_permille: 50 };
const repeaters = (bond_permille: number, rules = RULES, consecutive_valid = 1000) =>
  repeatersPermille({ consecutive_valid, bond_permille }, rules);

describe('how many judges repeat', () => {
  test('all for a newcomer, and where there is hardly a bond', () => {
    assert.equal(repeaters(1_000_000, RULES, 0), null);
    assert.equal(repeaters(1_000_000, { ...RULES, probation: 0 }, 0), null);
    assert.equal(repeaters(1_000_000, { ...RULES, probation: 10 }, 9), null);
    assert.notEqual(repeaters(1_000_000, { ...RULES, probation: 10 }, 10), null);
    assert.equal(repeaters(0), null);
    assert.equal(repeaters(38), null);
  });

  test('fewer with every submission that may be lost, and never less than the rules say', () => {
    const bonds = [39, 125, 250, 500, 1000, 2000, 9000, 28_000, 29_000, 40_000];
    assert.deepEqual(
      bonds.map((bond) => repeaters(bond)),
      [2994, 2000, 1600, 1000, 750, 500, 150, 52, 50, 50],
    );
    assert.equal(repeaters(40_000, { ...RULES, reexecute_permille: 0 }), 37);
  });

  test('so that a lie never pays where a third of the judges are friends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 39, max: 50_000 }),
        fc.integer({ min: 0, max: 100 }),
        (bond, reexecute_permille) => {
          const wanted = repeaters(bond, { ...RULES, reexecute_permille })!;
          const [surely, more] = [Math.floor(wanted / 1000), (wanted % 1000) / 1000];
          const unseen = (1 / 3) ** surely * (1 - (2 / 3) * more);
          assert.ok(unseen <= (1 - unseen) * (bond / 1000) + 1e-9, `${wanted} for ${bond}`);
        },
      ),
    );
  });
});

test('a bond is what may still be lost, in submissions like this one', () => {
  const run = (round: number, amount: readonly number[]) =>
    ({
      ...{ round, rules: { withheld_rounds: 40 } },
      withheld: new Map([['ada', amount.map((each, i) => ({ round: i, account: 'ada', shares: 1, amount: each }))]]),
    }) as unknown as RunState;
  assert.equal(bondPermille(run(3, [10, 100, 100]), 'ada', 100), 2100);
  assert.equal(bondPermille(run(3, [10, 100, 100]), 'ada', 1000), 210, 'ten short ones are no bond for a long one');
  assert.equal(bondPermille(run(41, [10, 100, 100]), 'ada', 100), 1000, 'what is free is none');
  assert.equal(bondPermille(run(3, [10]), 'bob', 100), 0);
  assert.equal(bondPermille(run(3, [2 ** 52, 2 ** 52]), 'ada', 0), 1_000_000);
});
