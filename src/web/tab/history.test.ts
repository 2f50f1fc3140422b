// Tests of what a browser remembers: curves stay small and true, and a day is reckoned only from enough.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EarnedPoint, perDay, withPoint } from './history.ts';

const HOUR_MS = 3_600_000;
const at = (hours: number, shares: number): EarnedPoint => ({ time_ms: hours * HOUR_MS, shares, emitted: 1000 });
const curve = (...points: EarnedPoint[]): EarnedPoint[] => points.reduce<EarnedPoint[]>(withPoint, []);

test('while nothing is earned the curve has two points, not thousands', () => {
  const flat = curve(at(0, 5), at(1, 5), at(2, 5), at(3, 5), at(4, 9));
  assert.deepEqual(flat, [at(0, 5), at(3, 5), at(4, 9)]);
});

test('a long curve keeps its beginning, its end and its form', () => {
  const long = curve(...Array.from({ length: 3000 }, (_, i) => at(i, i)));
  assert.ok(long.length <= 400, `${long.length} points`);
  assert.deepEqual(long.at(-1), at(2999, 2999));
  assert.equal(long[0].shares, 0);
  for (const { time_ms, shares } of long) assert.equal(time_ms, shares * HOUR_MS);
});

test('a day is reckoned from the last day, and not from a few minutes', () => {
  assert.equal(perDay(curve(at(0, 0), at(0.1, 50)), HOUR_MS), null);
  assert.equal(perDay(curve(at(0, 7), at(5, 7)), 5 * HOUR_MS), null);
  assert.deepEqual(perDay(curve(at(0, 0), at(100, 0), at(102, 20)), 102 * HOUR_MS), {
    shares: 240,
    over_ms: 2 * HOUR_MS,
  });
});
