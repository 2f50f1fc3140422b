// Prices: a device never earns less than serving costs it, every part of a charge is whole, and together they are the charge.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { askedPrice, chargeOf, divideCharge, priceFloor, type ServingCost, type Split } from './price.ts';

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
      const charge = chargeOf(askedPrice(floor, parts), cost.input_tokens, cost.output_tokens);
      const { earns_micro } = divideCharge(charge, parts);
      const spent =
        (BigInt(cost.energy_millijoules) * BigInt(cost.micro_per_kwh)) / 3_600_000_000n +
        (BigInt(cost.worked_ms) * BigInt(cost.wear_micro_per_hour)) / 3_600_000n;
      assert.ok(BigInt(earns_micro) >= spent, `${earns_micro} for ${spent}`);
    }),
  );
});

test('a charge is rounded up once, and divided to the last micro-credit', () => {
  assert.equal(chargeOf({ input_micro: 100_000, output_micro: 300_000 }, 120, 80), 36);
  assert.equal(chargeOf({ input_micro: 1, output_micro: 1 }, 1, 1), 1);
  assert.equal(chargeOf({ input_micro: 5, output_micro: 5 }, 0, 0), 0);
  fc.assert(
    fc.property(amount(2 ** 40), split, (charge, parts) => {
      const { earns_micro, holders_micro, gateway_micro } = divideCharge(charge, parts);
      assert.equal(earns_micro + holders_micro + gateway_micro, charge);
      assert.ok(Math.min(earns_micro, holders_micro, gateway_micro) >= 0);
      assert.ok(holders_micro * 1000 <= charge * parts.holders_permille);
      assert.ok(gateway_micro * 1000 <= charge * parts.gateway_permille);
    }),
  );
  assert.deepEqual(divideCharge(100, { holders_permille: 100, gateway_permille: 205 }), {
    ...{ earns_micro: 70, holders_micro: 10, gateway_micro: 20 },
  });
  assert.throws(() => divideCharge(1, { holders_permille: 501, gateway_permille: 500 }), /at most all/);
  assert.throws(() =>
    askedPrice({ input_micro: 1, output_micro: 1 }, { holders_permille: 500, gateway_permille: 500 }),
  );
  assert.throws(() => chargeOf({ input_micro: 2 ** 52, output_micro: 0 }, 2 ** 50, 0), /at most/);
});
