// Events that are asked together: within the limits of a question, in their order, and the first at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../protocol/clock.ts';
import { openTogether } from './ask-together.ts';
import { TOGETHER } from './subjects.ts';

test('the first is asked at once, what comes meanwhile in questions within their limits, and in its order', async () => {
  const asked: number[][] = [];
  const sizes: number[] = [];
  const submit = openTogether(systemClock, async (events) => {
    asked.push(events.map(([value]) => value));
    sizes.push(events.reduce((sum, { length }) => sum + length, 0));
    return events.map(async ([value]) => value);
  });
  const small = Array.from({ length: TOGETHER.events + 3 }, (_, i) => Uint8Array.of(i % 200));
  const all = small.map(submit);
  assert.deepEqual(asked, [[0]]);
  assert.deepEqual(
    await Promise.all(all),
    small.map(([value]) => value),
  );
  assert.deepEqual(
    asked.map(({ length }) => length),
    [1, TOGETHER.events, 2],
  );
  assert.deepEqual(asked.flat(), await Promise.all(all));
  const large = Array.from({ length: 10 }, (_, i) => new Uint8Array(60_000).fill(i));
  asked.length = 0;
  assert.deepEqual(await Promise.all(large.map(submit)), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(
    asked.map(({ length }) => length),
    [1, 8, 1],
  );
  assert.ok(sizes.every((size) => size <= TOGETHER.bytes));
});

test('where a question has no answer all of it is told so, and the next is asked anew', async () => {
  let fails = true;
  const submit = openTogether(systemClock, async (events) => {
    if (fails) throw new Error('no answer');
    return events.map(async () => 7);
  });
  const failed = await Promise.allSettled([1, 2, 3].map((value) => submit(Uint8Array.of(value))));
  assert.ok(failed.every(({ status }) => status === 'rejected'));
  fails = false;
  assert.equal(await submit(Uint8Array.of(4)), 7);
});
