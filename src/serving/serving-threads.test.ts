// Engines leave a core to everybody else: threads that wait for each other on a busy core take twenty times as long.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mostThreads, servingThreads } from './serving-threads.ts';

test('one fewer than the idle cores, half of all while somebody is there, one in any case', () => {
  const idle = { busy_cores: 0, in_use: false };
  assert.equal(servingThreads({ ...idle, cores: 8 }), 7);
  assert.equal(servingThreads({ ...idle, cores: 8, in_use: true }), 4);
  assert.equal(servingThreads({ ...idle, cores: 8, busy_cores: 2.1 }), 4);
  assert.equal(servingThreads({ cores: 8, busy_cores: 2, in_use: true }), 4);
  assert.equal(servingThreads({ cores: 8, busy_cores: 8, in_use: true }), 1);
  assert.equal(servingThreads({ ...idle, cores: 2 }), 1);
  assert.equal(servingThreads({ ...idle, cores: 1 }), 1);
});

test('never all cores', () => {
  const device = fc.record({
    cores: fc.integer({ min: 2, max: 512 }),
    busy_cores: fc.double({ min: 0, max: 600, noNaN: true }),
    in_use: fc.boolean(),
  });
  fc.assert(
    fc.property(device, (now) => {
      const threads = servingThreads(now);
      assert.ok(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads(now.cores) && threads < now.cores);
      if (now.in_use && now.cores >= 4) assert.ok(threads <= now.cores / 2);
    }),
  );
});
