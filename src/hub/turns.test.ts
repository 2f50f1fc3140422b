// Turns: never more than so many at once, in order, and one that fails gives its turn on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTurns } from './turns.ts';

test('at most so many at once, in the order in which they came, and all of them', async () => {
  const turns = openTurns(2);
  const begun: number[] = [];
  let [now, most] = [0, 0];
  const step = (i: number) =>
    turns(async () => {
      begun.push(i);
      most = Math.max(most, ++now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      if (i % 2 === 1) throw new Error(`${i}`);
      return i;
    });
  const ended = await Promise.allSettled(Array.from({ length: 9 }, (_, i) => step(i)));
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal(most, 2);
  assert.deepEqual(
    ended.map(({ status }) => status === 'fulfilled'),
    [true, false, true, false, true, false, true, false, true],
  );
  assert.equal(await turns(async () => 'afterwards'), 'afterwards');
});
