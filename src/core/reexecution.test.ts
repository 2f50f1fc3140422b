// Trust is earned by ten, grows slowly, is never complete and is lost at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { afterReexecution, NO_RECORD, reexecutionPermille, type TrackRecord } from './reexecution.ts';

const after = (results: readonly boolean[]): TrackRecord => results.reduce(afterReexecution, NO_RECORD);
const valid = (count: number) => new Array<boolean>(count).fill(true);

test('the first ten are always repeated, then one in as many as have held, at least the least', () => {
  for (let count = 0; count < 10; count++) assert.equal(reexecutionPermille(after(valid(count)), 50), 1000);
  const permille = [10, 11, 19, 20, 21, 1000].map((count) => reexecutionPermille(after(valid(count)), 50));
  assert.deepEqual(permille, [100, 91, 53, 50, 50, 50]);
});

test('a failure starts over', () => {
  assert.deepEqual(after([...valid(500), false]), NO_RECORD);
  assert.equal(reexecutionPermille(after([...valid(500), false, ...valid(9)]), 50), 1000);
  assert.equal(reexecutionPermille(after([...valid(500), false, ...valid(10)]), 50), 100);
});

test('never zero, never more than always, never rising with a longer record', () => {
  fc.assert(
    fc.property(
      fc.maxSafeNat(),
      fc.nat(1000),
      fc.oneof(fc.integer({ min: -5, max: 2000 }), fc.double()),
      (count, more, least) => {
        const now = reexecutionPermille({ consecutive_valid: count }, least);
        const later = reexecutionPermille({ consecutive_valid: count + more }, least);
        assert.ok(Number.isInteger(now) && now >= 1 && now <= 1000);
        assert.ok(later <= now || !Number.isSafeInteger(count + more));
      },
    ),
  );
  for (const consecutive_valid of [Number.NaN, -1, 10.5, Number.POSITIVE_INFINITY]) {
    assert.equal(reexecutionPermille({ consecutive_valid }, 50), 1000);
  }
});
