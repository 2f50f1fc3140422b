// What a device asks: its floor where its owner says nothing, and never where nobody pays; what its owner says counts, with a warning.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chargeOf, type ServingCost, type TokenPrice } from '../serving/price.ts';
import { type AskedNews, FREE, openAskedPrice } from './asked-price.ts';
import { openOfferedPrices } from './offered-prices.ts';

/** A kWh and an hour for a hundred thousand tokens: 3.2 credits for a million. */
const COST: ServingCost = {
  ...{ energy_millijoules: 3_600_000_000, micro_per_kwh: 300_000, worked_ms: 3_600_000, wear_micro_per_hour: 20_000 },
  ...{ input_tokens: 0, output_tokens: 100_000 },
};
const FLOOR = { input_micro: 800_000, output_micro: 3_200_000 };

function asking(said: TokenPrice | null = null) {
  const world = { cost: null as ServingCost | null, now_ms: 0, news: [] as AskedNews[] };
  const asked = openAskedPrice({
    ...{ said, cost: () => world.cost, elapsed_ms: () => world.now_ms },
    tell: (news) => void world.news.push(news),
  });
  return { world, asked };
}

test('a device whose owner names no price asks nothing until it knows its floor, and follows its tariff by ten minutes', () => {
  const { world, asked } = asking();
  assert.deepEqual(asked.now(), FREE);
  world.cost = COST;
  assert.deepEqual(asked.now(), FLOOR);
  world.cost = { ...COST, micro_per_kwh: 600_000 };
  world.now_ms += 599_999;
  assert.deepEqual(asked.now(), FLOOR);
  world.now_ms += 1;
  assert.deepEqual(asked.now(), { input_micro: 1_550_000, output_micro: 6_200_000 });
  assert.deepEqual(
    world.news.map((news) => (news.type === 'asks' ? news.output_micro : news.code)),
    [3_200_000, 6_200_000],
  );
  assert.match(world.news[0].message, /0\.8 credits for a million tokens read, 3\.2 credits written/);
});

test('where nobody pays it, it serves for nothing as without a tariff, and stays so', () => {
  const { world, asked } = asking();
  world.cost = COST;
  asked.now();
  asked.unpaid();
  assert.deepEqual(asked.now(), FREE);
  world.now_ms += 1e9;
  asked.unpaid();
  assert.deepEqual([asked.now(), world.news.length], [FREE, 2]);
});

test('what the owner says counts, also below the floor and where nobody pays it, with one warning', () => {
  const said = { input_micro: 800_000, output_micro: 3_199_999 };
  const { world, asked } = asking(said);
  world.cost = COST;
  for (let i = 0; i < 3; i++, world.now_ms += 600_000) assert.deepEqual(asked.now(), said);
  asked.unpaid();
  assert.deepEqual(asked.now(), said);
  assert.deepEqual(
    world.news.map((news) => news.type === 'problem' && news.code),
    ['price-below-floor'],
  );
  const enough = asking(FLOOR);
  enough.world.cost = COST;
  assert.deepEqual([enough.asked.now(), enough.world.news], [FLOOR, []]);
});

test('whatever it wrote and read, what it asks for that pays for what that cost', () => {
  const amount = (max: number) => fc.integer({ min: 0, max });
  const costs = fc.record({
    ...{ energy_millijoules: amount(10 ** 9), micro_per_kwh: amount(10 ** 6), worked_ms: amount(10 ** 6) },
    ...{ wear_micro_per_hour: amount(10 ** 5), input_tokens: amount(10 ** 6) },
    output_tokens: fc.integer({ min: 50, max: 10 ** 6 }),
  });
  fc.assert(
    fc.property(costs, (cost) => {
      const { world, asked } = asking();
      world.cost = cost;
      const price = asked.now();
      if (price.output_micro === 1_000_000_000) return; // the protocol's limit
      const spent_micro =
        (cost.energy_millijoules / 3.6e9) * cost.micro_per_kwh + (cost.worked_ms / 3.6e6) * cost.wear_micro_per_hour;
      assert.ok(chargeOf(price, cost.input_tokens, cost.output_tokens) >= spent_micro - 1e-6);
    }),
  );
});

test('what a hub asks for is paid at the newest offer, or for some seconds at the one before; at no other', () => {
  let now_ms = 0;
  const prices = openOfferedPrices(() => now_ms);
  const pay = (price_in: number) => ({
    ...{ gateway: 'a'.repeat(64), request: 'b'.repeat(64), part: 0, salt: new Uint8Array(32), price_in, price_out: 1 },
  });
  const at = (input_micro: number) => ({ input_micro, output_micro: 1 });
  assert.equal(prices.of(undefined), null, 'nothing was offered');
  prices.offered(FREE);
  assert.deepEqual(prices.of(undefined), FREE);
  prices.offered(at(5));
  prices.offered(at(5));
  assert.deepEqual([prices.of(pay(5)), prices.of(undefined), prices.of(pay(4))], [at(5), FREE, null]);
  now_ms = 10_001;
  assert.deepEqual([prices.of(pay(5)), prices.of(undefined)], [at(5), null]);
  prices.offered(at(7));
  assert.deepEqual([prices.of(pay(7)), prices.of(pay(5)), prices.of(undefined)], [at(7), at(5), null]);
});
