// The chart's arithmetic: round ticks, smoothing that is not biased, outliers that do not flatten what follows, zoom that stays inside.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decimalsOf, linearTicks, logTicks, nearest, positionIn, rangeOf, smoothed, zoomed } from './chart-scales.ts';

test('ticks are round numbers inside the range', () => {
  assert.deepEqual(linearTicks([0, 1], 5), [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual(linearTicks([0, 3], 6, 'whole'), [0, 1, 2, 3]);
  assert.deepEqual(linearTicks([0, 200], 4, 'seconds'), [0, 60, 120, 180]);
  assert.deepEqual(linearTicks([5, 5], 4), [5]);
  assert.deepEqual(logTicks([1.2, 60], 5), [2, 5, 10, 20, 50]);
  assert.deepEqual(logTicks([2.2, 2.6], 4), [2.2, 2.3, 2.4, 2.5, 2.6]);
  assert.deepEqual([[1, 2], [1.5, 2], [2.25]].map(decimalsOf), [0, 1, 2]);
});

test('ticks of any range are few, inside it, and grow', () => {
  const range = fc.tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.double({ min: 1e-3, max: 1e9, noNaN: true }));
  fc.assert(
    fc.property(range, fc.integer({ min: 2, max: 12 }), ([from, width], wanted) => {
      const ticks = linearTicks([from, from + width], wanted);
      assert.ok(ticks.length <= wanted + 1);
      assert.ok(ticks.every((tick, i) => tick >= from - 1e-6 * width && (i === 0 || tick > ticks[i - 1])));
    }),
  );
});

test('smoothing keeps a constant as it is from the first value on, and takes the noise off', () => {
  assert.ok(smoothed([3, 3, 3], 0.9).every((value) => Math.abs(value - 3) < 1e-9));
  assert.deepEqual(smoothed([5, 1, 4], 0), [5, 1, 4]);
  assert.deepEqual(smoothed([1, 2], 0.5), [1, (0.5 + 2) / 1.5]);
});

test('with outliers ignored, one first value does not flatten what follows', () => {
  const losses = [5.75, ...Array.from({ length: 60 }, (_, i) => 2.5 - i / 100)];
  const [, all] = rangeOf(losses, false, false);
  const [from, to] = rangeOf(losses, true, false);
  assert.ok(all > 5.7 && to < 2.6 && from > 1.8, `${from} to ${to}`);
  assert.deepEqual(rangeOf([], false, false), [1, 2]);
  assert.deepEqual(rangeOf([4], true, false), [3.8, 4.2]);
  assert.ok(rangeOf([0, 1, 2], false, true)[0] > 0, 'a logarithm has no zero');
});

test('a place is the same read either way, and the nearest point is the nearest', () => {
  assert.equal(positionIn([2, 4], 3), 0.5);
  assert.ok(Math.abs(positionIn([1, 100], 10, true) - 0.5) < 1e-12);
  assert.deepEqual(
    [[0, 10, 20], [0, 10, 20], [7]].map((values, i) => nearest(values, [4, 16, 99][i])),
    [0, 2, 0],
  );
});

test('zooming stays inside the whole, and back out is the whole', () => {
  assert.deepEqual(zoomed([0, 100], [0, 100], 0.5), [25, 75]);
  assert.deepEqual(zoomed([25, 75], [0, 100], 2), [0, 100]);
  assert.deepEqual(zoomed([0, 50], [0, 100], 2, 25), [0, 75]);
});
