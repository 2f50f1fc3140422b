// Engines leave a core to everybody else, and what their owner allows them decides their threads before it makes them rest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { mostThreads, threadsFor } from './serving-threads.ts';

test('one core at least is left, where there are two', () => {
  assert.deepEqual([1, 2, 8].map(mostThreads), [1, 1, 7]);
});

test('fewer threads come before rests', () => {
  assert.deepEqual(threadsFor(1, 4), { threads: 4, part: 1 });
  assert.deepEqual(threadsFor(0.5, 4), { threads: 2, part: 1 });
  assert.deepEqual(threadsFor(0.25, 1), { threads: 1, part: 0.25 });
  assert.deepEqual(threadsFor(0.3, 8), { threads: 3, part: 0.7999999999999999 });
});

test('together they are what was allowed, and never more threads than were asked for', () => {
  const duty = fc.double({ min: 0.01, max: 1, noNaN: true });
  fc.assert(
    fc.property(duty, fc.integer({ min: 1, max: 256 }), (duty, asked) => {
      const { threads, part } = threadsFor(duty, asked);
      assert.ok(Number.isInteger(threads) && threads >= 1 && threads <= asked);
      assert.ok(part > 0 && part <= 1);
      assert.ok(Math.abs(threads * part - asked * duty) < 1e-6);
    }),
  );
});
