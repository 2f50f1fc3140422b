// Shares are whole numbers that neither vanish nor appear, whatever the weights and whatever the order.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Claimant, PayClaim } from './shares.ts';
import { divide, type Emission, emissionOf, partsOf, payRound } from './shares.ts';

const claimants = fc.uniqueArray(
  fc.record({ id: fc.string({ minLength: 1, maxLength: 8 }), weight: fc.integer({ min: 0, max: 2 ** 50 }) }),
  { selector: ({ id }) => id, maxLength: 40 },
);
const sum = (values: Iterable<number>): number => [...values].reduce((all, value) => all + value, 0);

test('the parts add up to the total exactly, and differ from the exact part by less than one', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), claimants, (total, list) => {
      const parts = divide(total, list);
      const weights = list.reduce((all, { weight }) => all + BigInt(weight), 0n);
      if (weights === 0n) return parts.size === 0;
      assert.equal(sum(parts.values()), total);
      for (const { id, weight } of list) {
        const part = BigInt(parts.get(id) ?? 0);
        const exact = BigInt(total) * BigInt(weight);
        assert.ok(part * weights > exact - weights && part * weights < exact + weights);
      }
      return true;
    }),
  );
});

test('the order of the claimants does not matter, and equal remainders go to the smallest id', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e6 }), claimants, (total, list) => {
      const there = divide(total, list);
      const back = divide(total, [...list].reverse());
      assert.deepEqual([...there].sort(), [...back].sort());
    }),
  );
  const three = ['c', 'a', 'b'].map((id) => ({ id, weight: 1 }));
  assert.deepEqual([...divide(100, three)].sort(), [
    ['a', 34],
    ['b', 33],
    ['c', 33],
  ]);
});

const paid = (list: readonly Claimant[]): PayClaim[] => [
  ...new Map(list.map((claim) => [claim.id, { ...claim, account: claim.id.slice(0, 1) }])).values(),
];

test('a round pays its whole emission or keeps what nobody earned', () => {
  const permille = fc.integer({ min: 0, max: 1000 });
  fc.assert(
    fc.property(
      permille,
      permille,
      fc.nat(1e9),
      fc.nat(50),
      fc.nat(500),
      claimants,
      claimants,
      permille,
      claimants,
      (a, b, n, h, round, w, v, royalty_permille, holders) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const emission: Emission = {
          shares_per_round: n,
          halving_rounds: h,
          owner_permille: low,
          workers_permille: high - low,
          validators_permille: 1000 - high,
        };
        const royalty = { permille: royalty_permille, holders: paid(holders) };
        const { payouts, unearned } = payRound(emission, round, 'owner', paid(w), paid(v), royalty);
        assert.equal(sum(payouts.map(({ shares }) => shares)) + unearned, emissionOf(emission, round));
        const parts = partsOf(emission, round, royalty_permille);
        assert.equal(sum(Object.values(parts)), emissionOf(emission, round));
        const flown = sum(payouts.filter(({ part }) => part === 'ancestors').map(({ shares }) => shares));
        assert.equal(flown, royalty.holders.some(({ weight }) => weight > 0) ? parts.ancestors : 0);
        assert.ok(Math.abs(parts.ancestors - (emissionOf(emission, round) * royalty_permille) / 1000) < 1);
        assert.ok(unearned >= 0 && payouts.every(({ shares }) => Number.isSafeInteger(shares) && shares >= 0));
      },
    ),
  );
});

test('the emission halves on time and ends at nothing', () => {
  const emission = {
    shares_per_round: 1000,
    halving_rounds: 10,
    owner_permille: 0,
    workers_permille: 1000,
    validators_permille: 0,
  };
  assert.deepEqual(
    [0, 9, 10, 25, 100, 10_000].map((round) => emissionOf(emission, round)),
    [1000, 1000, 500, 250, 0, 0],
  );
});
