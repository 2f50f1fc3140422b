// Prices: a device never earns less than serving costs it, every part of a charge is whole, and together they are the charge.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { askedPrice, chargeOf, chargeOver, priceFloor, type ServingCost, type Split } from './price.ts';

const COST: ServingCost = {
  ...{ energy_millijoules: 3_600_000_000, micro_per_kwh: 300_000, worked_ms: 3_600_000, wear_micro_per_hour: 20_000 },
  ...{ input_tokens: 0, output_tokens: 100_000 },
};

test('the floor is the energy at the tariff of the hour, and wear, by verified token', () => {
  // One kWh and one hour for a hundred thousand tokens: 0.32 credits, 3.2 for a million.
  assert.deepEqual(priceFloor(COST, 125), { input_micro: 400_000, output_micro: 3_200_000 });
  // Tokens that were only read count for an eighth.
  assert.deepEqual(priceFloor({ ...COST, output_tokens: 0, input_tokens: 800_000 }, 125), priceFloor(COST, 125));
  assert.equal(priceFloor({ ...COST, micro_per_kwh: 0 }, 0)!.output_micro, 200_000);
  assert.equal(priceFloor({ ...COST, micro_per_kwh: 0 }, 0)!.input_micro, 0);
  assert.equal(priceFloor({ ...COST, output_tokens: 0 }, 125), null);
  assert.equal(
    priceFloor({ ...COST, energy_millijoules: 1, worked_ms: 0, output_tokens: 3_000_000 }, 1)!.output_micro,
    1,
  );
  for (const bad of [{ energy_millijoules: -1 }, { worked_ms: 0.5 }, { input_tokens: Number.NaN }])
    assert.throws(() => priceFloor({ ...COST, ...bad }, 125), /whole number/);
});

const amount = (max: number) => fc.integer({ min: 0, max });
const split: fc.Arbitrary<Split> = fc
  .tuple(amount(500), amount(499))
  .map(([holders_permille, gateway_permille]) => ({ holders_permille, gateway_permille }));

test('whoever takes how much, the device gets back what it cost', () => {
  const costs = fc.record({
    ...{ energy_millijoules: amount(10 ** 12), micro_per_kwh: amount(10 ** 6), worked_ms: amount(10 ** 8) },
    ...{ wear_micro_per_hour: amount(10 ** 6), input_tokens: amount(10 ** 7), output_tokens: amount(10 ** 7) },
  });
  fc.assert(
    fc.property(costs, split, fc.integer({ min: 1, max: 1000 }), (cost, parts, input_permille) => {
      const floor = priceFloor(cost, input_permille);
      if (!floor) return;
      const earns_micro = chargeOf(floor, cost.input_tokens, cost.output_tokens);
      const spent =
        (BigInt(cost.energy_millijoules) * BigInt(cost.micro_per_kwh)) / 3_600_000_000n +
        (BigInt(cost.worked_ms) * BigInt(cost.wear_micro_per_hour)) / 3_600_000n;
      assert.ok(BigInt(earns_micro) >= spent, `${earns_micro} for ${spent}`);
      // What callers are told beforehand is what they pay, but for the rounding of what the device earns and of two parts.
      const told = chargeOf(askedPrice(floor, parts), cost.input_tokens, cost.output_tokens);
      const { holders_micro, gateway_micro } = chargeOver(earns_micro, parts);
      const charge = earns_micro + holders_micro + gateway_micro;
      const rest = 1000 - parts.holders_permille - parts.gateway_permille;
      assert.ok(charge <= told + 2 + Math.ceil(1000 / rest), `${charge} where ${told} was told`);
    }),
  );
});

test('a charge is rounded up once, and what others get comes on top in whole parts', () => {
  assert.equal(chargeOf({ input_micro: 100_000, output_micro: 300_000 }, 120, 80), 36);
  assert.equal(chargeOf({ input_micro: 1, output_micro: 1 }, 1, 1), 1);
  assert.equal(chargeOf({ input_micro: 5, output_micro: 5 }, 0, 0), 0);
  fc.assert(
    fc.property(amount(2 ** 40), split, (earns, parts) => {
      const { earns_micro, holders_micro, gateway_micro } = chargeOver(earns, parts);
      const charge = BigInt(earns_micro + holders_micro + gateway_micro);
      assert.equal(earns_micro, earns);
      assert.ok(BigInt(holders_micro) * 1000n >= charge * BigInt(parts.holders_permille) - 1000n);
      assert.ok(BigInt(gateway_micro) * 1000n >= charge * BigInt(parts.gateway_permille) - 1000n);
    }),
  );
  assert.throws(() =>
    askedPrice({ input_micro: 1, output_micro: 1 }, { holders_permille: 500, gateway_permille: 500 }),
  );
  assert.throws(() => chargeOf({ input_micro: 2 ** 52, output_micro: 0 }, 2 ** 50, 0), /at most/);
});
