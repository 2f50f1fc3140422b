// Fixed-point arithmetic gives the bits that BigInt gives by definition.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { div, fromU16, mul, normalised, ONE, sharesOf, sum, toU16 } from './fixed-point.ts';

const W = 2n ** 32n;
const share = fc.oneof(
  fc.integer({ min: 0, max: ONE }),
  fc.constantFrom(0, 1, 2, ONE - 1, ONE, ONE / 2, 65_535, 65_536),
);

test('a product is floor(a · b), also of a negative factor', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 33 }),
      fc.oneof(share, fc.integer({ min: -(2 ** 36), max: 2 ** 36 })),
      (a, b) => {
        // BigInt's >> rounds down, below zero as well.
        assert.equal(BigInt(mul(a, b)), (BigInt(a) * BigInt(b)) >> 32n);
      },
    ),
    { numRuns: 2000 },
  );
  assert.equal(mul(ONE, -12_345), -12_345);
  assert.equal(mul(1, -1), -1);
  assert.equal(mul(1, 1), 0);
});

test('a quotient is cut towards zero, and x / 0 is 0', () => {
  const check = (a: number, b: number) => assert.equal(BigInt(div(a, b)), (BigInt(a) * W) / BigInt(b), `${a} / ${b}`);
  const large = fc.oneof(fc.integer({ min: 1, max: 2 ** 48 }), fc.integer({ min: 1, max: 70_000 }));
  fc.assert(
    fc.property(large, large, (a, b) => check(Math.min(a, b), Math.max(a, b))),
    { numRuns: 2000 },
  );
  for (const a of [0, 5, ONE]) assert.equal(div(a, 0), 0);
  // Just below a whole quotient: float64 alone would round it up.
  for (const b of [2 ** 45 + 1, 2 ** 48 - 1, 3 * 2 ** 46 + 1]) {
    for (const a of [b - 1, (b - 1) / 2, Math.floor(b / 3)]) check(Math.floor(a), b);
  }
});

test('u16 shares are rounded down and come back as quotients of 65535', () => {
  assert.deepEqual([0, 1, ONE / 2, ONE - 1, ONE].map(toU16), [0, 0, 32_767, 65_534, 65_535]);
  assert.deepEqual([0, 32_767, 65_535].map(fromU16), [0, Number((32_767n * W) / 65_535n), ONE]);
  for (let value = 0; value <= 65_535; value++) assert.ok(value - toU16(fromU16(value)) <= 1);
});

test('normalised shares add up to 1 but for less than one unit each', () => {
  fc.assert(
    fc.property(fc.array(share, { maxLength: 50 }), (values) => {
      const total = sum(normalised(values));
      if (sum(values) === 0) assert.equal(total, 0);
      else assert.ok(total <= ONE && total > ONE - values.length);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 57n }), { maxLength: 50 }), (amounts) => {
      const total = sum(sharesOf(amounts));
      assert.ok(total <= ONE && (total > ONE - amounts.length || amounts.every((amount) => amount === 0n)));
    }),
  );
  assert.deepEqual(sharesOf([1n, 2n]), [0x55555555, 0xaaaaaaaa]);
});
