// A few at a time, in their order, with room for everything else in between.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPace } from './pace.ts';

test('of a hundred who ask at once eight have their turn before whatever else there is', async () => {
  const pace = openPace();
  const order: number[] = [];
  const all = Array.from({ length: 100 }, (_, i) => pace().then(() => order.push(i)));
  const between: number[] = [];
  while (order.length < 100) {
    await new Promise((resolve) => setImmediate(resolve));
    between.push(order.length);
  }
  await Promise.all(all);
  assert.deepEqual(
    order,
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.deepEqual(between.slice(0, 4), [8, 16, 24, 32]);
});
