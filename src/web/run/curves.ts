// The curves of a chart: of a run's model, of its workers together and each alone, and of other runs; and all of them as CSV.
import { trainsOnText } from '../../games/text-training.ts';
import { inUnit } from '../../protocol/measures.ts';
import type { WorkerPoint } from '../../protocol/messages.ts';
import type { LiveRun, Point } from '../shell/live.ts';
import { smoothed } from './chart-scales.ts';

export type Axis = 'amount' | 'time' | 'rounds';

export interface CurvePoint extends Omit<Point, 'value'> {
  readonly x: number;
  readonly value: number;
}

export interface Curve {
  readonly id: string;
  readonly name: string;
  /** The model's own curve is ink; those of devices have their colours; another run is drawn in dashes. */
  readonly ink: 'model' | 'workers' | number;
  readonly dashed: boolean;
  readonly points: readonly CurvePoint[];
}

/** When a run's curve begins. */
const beginning = ({ evaluations, rounds }: LiveRun): number =>
  Math.min(...[evaluations[0], rounds[0]].map((point) => point?.time_ms ?? Number.POSITIVE_INFINITY));

const xOf = (point: Omit<Point, 'value'>, axis: Axis, start_ms: number): number =>
  axis === 'amount' ? point.amount : axis === 'rounds' ? point.merged_rounds : (point.time_ms - start_ms) / 1000;

function pointsOf(series: readonly Point[], axis: Axis, start_ms: number): CurvePoint[] {
  const points: CurvePoint[] = [];
  for (const { value, ...point } of series) {
    const x = xOf(point, axis, start_ms);
    // A clock that was set back draws no loop: what is not further than the point before is left out.
    if (value === null || x < (points.at(-1)?.x ?? Number.NEGATIVE_INFINITY)) continue;
    points.push({ ...point, x, value });
  }
  return points;
}

/** The model by the run's first metric as validators measured it, and the workers' mean. */
export function curvesOf(run: LiveRun, axis: Axis): Curve[] {
  const start_ms = beginning(run);
  return [
    {
      id: 'workers',
      name: 'workers, by what they say themselves',
      ink: 'workers',
      dashed: false,
      points: pointsOf(run.rounds, axis, start_ms),
    },
    {
      id: 'model',
      name: trainsOnText(run.overview.game) ? 'validation, on text that nobody trains on' : 'as validators measured it',
      ink: 'model',
      dashed: false,
      points: pointsOf(run.evaluations, axis, start_ms),
    },
  ];
}

/** Another run's model, from its own beginning on. */
export const otherRun = (run: LiveRun, name: string, axis: Axis, ink: number): Curve => ({
  id: run.overview.run,
  name,
  ink,
  dashed: true,
  points: pointsOf(run.evaluations, axis, beginning(run)),
});

/** What a worker says itself by the run's first metric, each value where the run was when the work was merged. */
export function workerCurve(
  run: LiveRun,
  id: string,
  name: string,
  rounds: readonly WorkerPoint[],
  axis: Axis,
  ink: number,
): Curve {
  const start_ms = beginning(run);
  const known = new Map(run.rounds.map((point) => [point.merged_rounds, point]));
  const { name: metric } = run.overview.metrics[0];
  const points = rounds.flatMap(({ merged_rounds, numbers }) => {
    const at = known.get(merged_rounds); // the hub thins the run's own curve too
    return at && metric in numbers
      ? [{ ...at, x: xOf(at, axis, start_ms), value: inUnit(metric, numbers[metric]) }]
      : [];
  });
  return { id, name, ink, dashed: false, points };
}

/** The same curves without noise. */
export const smooth = (curve: Curve, weight: number): Curve => {
  const values = smoothed(
    curve.points.map(({ value }) => value),
    weight,
  );
  return { ...curve, points: curve.points.map((point, i) => ({ ...point, value: values[i] })) };
};

/** A spreadsheet must not take a stranger's name for a formula. */
const cell = (text: string): string => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

/** One line a point, as it was measured: never smoothed. */
export function toCsv(curves: readonly Curve[]): string {
  const lines = curves.flatMap(({ name, points }) =>
    points.map(({ merged_rounds, time_ms, amount, bytes, value }) =>
      [cell(name), merged_rounds, time_ms, amount, bytes, value].join(','),
    ),
  );
  return `${['curve,merged_rounds,time_ms,amount,bytes,value', ...lines].join('\n')}\n`;
}
