// What a chart draws of a run, and what it writes down as CSV: the measured values, each where it belongs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exampleOverview } from '../../protocol/testing/example-views.ts';
import type { LiveRun, Point } from '../shell/live.ts';
import { curvesOf, otherRun, smooth, toCsv, workerCurve } from './curves.ts';

const point = (merged_rounds: number, value: number | null): Point => ({
  merged_rounds,
  time_ms: 1_000_000 + merged_rounds * 2000,
  amount: merged_rounds * 500,
  bytes: merged_rounds * 10,
  value,
});
const run: LiveRun = {
  overview: exampleOverview(),
  heard_ms: 0,
  peers: new Map(),
  speeds: new Map(),
  evaluations: [point(0, 5.5), point(2, 2.5)],
  rounds: [point(1, 3), point(2, null), point(3, 2)],
  samples: [],
  amount_per_second: 0,
};

test('a curve lies over what was spent, and what nobody measured is left out', () => {
  const [workers, model] = curvesOf(run, 'amount');
  assert.deepEqual(
    model.points.map(({ x, value }) => [x, value]),
    [
      [0, 5.5],
      [1000, 2.5],
    ],
  );
  assert.deepEqual(
    workers.points.map(({ x, value }) => [x, value]),
    [
      [500, 3],
      [1500, 2],
    ],
  );
  assert.deepEqual(
    curvesOf(run, 'time')[1].points.map(({ x }) => x),
    [0, 4],
  );
  assert.deepEqual(
    curvesOf(run, 'rounds')[0].points.map(({ x }) => x),
    [1, 3],
  );
});

test('what a worker says by the first metric lies where the run was when its work was merged', () => {
  const own = [1, 3, 99].map((merged_rounds) => ({
    merged_rounds,
    amount: 1,
    numbers: { steps: 1, loss_micro: 1_500_000 },
  }));
  const { points } = workerCurve(run, 'a', 'ada', own, 'amount', 3);
  assert.deepEqual(
    points.map(({ x, value }) => [x, value]),
    [
      [500, 1.5],
      [1500, 1.5],
    ],
  );
});

test('a clock that was set back draws no loop', () => {
  const back = { ...run, evaluations: [point(0, 5), { ...point(1, 4), time_ms: 1 }, point(2, 3)] };
  assert.deepEqual(
    curvesOf({ ...back, rounds: [] }, 'time')[1].points.map(({ value }) => value),
    [5, 3],
  );
});

test('CSV has every measured value, never a smoothed one, and no name is a formula', () => {
  const csv = toCsv([otherRun(run, '=HYPERLINK("x")', 'time', 1)]);
  assert.equal(
    csv,
    'curve,merged_rounds,time_ms,amount,bytes,value\n' +
      '"\'=HYPERLINK(""x"")",0,1000000,0,0,5.5\n"\'=HYPERLINK(""x"")",2,1004000,1000,20,2.5\n',
  );
  const calm = smooth(curvesOf(run, 'amount')[1], 0.5);
  assert.deepEqual(
    calm.points.map(({ amount }) => amount),
    [0, 1000],
  );
  assert.ok(calm.points[1].value > 2.5);
});
