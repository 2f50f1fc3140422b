// What marketplaces read of a pool: prices with what others get on top, who could answer now, and how the last answers ended.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { providerDocument } from '../../serving/provider-document.ts';
import { ANY_DEVICE } from './caller.ts';
import { PRICES, paidWorld, ticket } from './testing/paid-world.ts';
import { ask, PoolWorld } from './testing/pool-world.ts';

test('a model costs what its dearest device asks and what others get of that, and is ready while a device has room', async () => {
  const { world, device } = await paidWorld(1_000_000, { split: { holders_permille: 100, gateway_permille: 100 } });
  const listed = () => providerDocument(world.pool.served(ANY_DEVICE)).data;
  assert.deepEqual(listed(), []);
  const asking = device({ offer: { ...PRICES, energy: { how: 'measured', joules: 2 } } });
  device({ offer: { energy: { how: 'stated', joules: 4 } } });
  // One that the log does not know gets no requests, whatever it asks.
  world.device({ offer: { price_in: 10 ** 9, price_out: 10 ** 9 } });
  const [model, ...others] = listed();
  assert.deepEqual([model.id, others], ['poems', []]);
  // No run has made it, so that nobody holds shares of it: a tenth for the hub.
  assert.deepEqual([model.pricing.prompt, model.pricing.completion], ['0.000002222223', '0.000005555556']);
  assert.deepEqual([model.energy, model.is_ready], [{ how: 'stated', joules: 3 }, true]);
  assert.deepEqual(model.uptime, { answers: 0, whole: 0 });
  await world.clock.run(world.read(ask(), { ticket: ticket() }));
  assert.deepEqual(listed()[0].uptime, { answers: 1, whole: 1 });
  asking.offer(0);
  assert.equal(listed()[0].is_ready, true);
  assert.deepEqual(world.pool.served({ ...ANY_DEVICE, owners: new Set(['a'.repeat(64)]) }), []);
});

test('a model whose answers fail says so, and without room it is not ready', async () => {
  const world = new PoolWorld();
  const only = world.device({ places: 1 });
  const listed = () => providerDocument(world.pool.served(ANY_DEVICE)).data[0];
  only.offer(0);
  assert.equal(listed().is_ready, false);
  await assert.rejects(world.clock.run(world.read()), { code: 'no-room' });
  assert.deepEqual(
    [listed().uptime, listed().pricing.completion, listed().energy],
    [{ answers: 1, whole: 0 }, '0', null],
  );
});
