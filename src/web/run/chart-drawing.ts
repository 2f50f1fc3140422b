// A chart as plain data, ready to be drawn: lines as paths, ticks as places and words. The page draws it as SVG, the picture to keep as PNG.
import { formatCount, formatDuration } from '../shell/format.ts';
import { decimalsOf, linearTicks, logTicks, positionIn, type Range, rangeOf } from './chart-scales.ts';
import { type Axis, type Curve, smooth } from './curves.ts';

export interface Looks {
  readonly axis: Axis;
  /** From 0, none, to below 1. */
  readonly smoothing: number;
  readonly logarithmic: boolean;
  readonly ignore_outliers: boolean;
  /** The part that is shown; null: everything. */
  readonly zoom: Range | null;
}

export interface Place {
  readonly width: number;
  readonly height: number;
}

export interface Line {
  readonly id: string;
  readonly ink: Curve['ink'];
  readonly dashed: boolean;
  /** The measured line behind a smoothed one. */
  readonly behind: boolean;
  readonly path: string;
}

export interface Drawing {
  readonly lines: readonly Line[];
  readonly x_ticks: readonly { readonly at: number; readonly words: string }[];
  readonly y_ticks: readonly { readonly at: number; readonly words: string }[];
  readonly x: Range;
  readonly y: Range;
  /** Inside it lines are drawn: labels stand left of it and below. */
  readonly frame: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
}

const MARGIN = { left: 44, right: 12, top: 10, bottom: 26 };
/** Room that a label needs. */
const LABEL = { width: 90, height: 44 };

/** What was spent, in words. */
export const spent = (x: number, axis: Axis): string =>
  axis === 'time' ? formatDuration(x * 1000) : axis === 'amount' ? formatCount(x) : String(Math.round(x));

/** From the first point of any curve to the last. */
export function wholeOf(curves: readonly Curve[]): Range {
  const ends = curves.flatMap(({ points }) => [points[0]?.x, points.at(-1)?.x]).filter((x) => x !== undefined);
  const [from, to] = [Math.min(...ends), Math.max(...ends)];
  return to > from ? [from, to] : [from || 0, (from || 0) + 1];
}

export function drawingOf(curves: readonly Curve[], looks: Looks, { width, height }: Place): Drawing {
  const { axis, smoothing, logarithmic, ignore_outliers } = looks;
  const frame = {
    left: MARGIN.left,
    top: MARGIN.top,
    width: Math.max(1, width - MARGIN.left - MARGIN.right),
    height: height - MARGIN.top - MARGIN.bottom,
  };
  const x = looks.zoom ?? wholeOf(curves);
  const calm = smoothing > 0 ? curves.map((curve) => smooth(curve, smoothing)) : curves;
  const inSight = calm.flatMap(({ points }) => points.filter((point) => point.x >= x[0] && point.x <= x[1]));
  const values = (inSight.length > 1 ? inSight : calm.flatMap(({ points }) => points)).map(({ value }) => value);
  const y = rangeOf(values, ignore_outliers, logarithmic);
  const toX = (value: number): number => frame.left + positionIn(x, value) * frame.width;
  const toY = (value: number): number => frame.top + (1 - positionIn(y, value, logarithmic)) * frame.height;
  const line = ({ id, ink, dashed, points }: Curve, behind: boolean): Line => ({
    ...{ id, ink, dashed, behind },
    path: points
      .map((point, i) => `${i === 0 ? 'M' : 'L'}${toX(point.x).toFixed(1)} ${toY(point.value).toFixed(1)}`)
      .join(''),
  });
  const wanted = Math.max(2, Math.floor(frame.width / LABEL.width));
  const y_values = (logarithmic ? logTicks : linearTicks)(y, Math.max(2, Math.floor(frame.height / LABEL.height)));
  const digits = decimalsOf(y_values);
  return {
    lines: [
      ...(smoothing > 0 ? curves.map((curve) => line(curve, true)) : []),
      ...calm.map((curve) => line(curve, false)),
    ],
    x_ticks: linearTicks(x, wanted, axis === 'time' ? 'seconds' : 'whole').map((value) => ({
      at: toX(value),
      words: spent(value, axis),
    })),
    y_ticks: y_values.map((value) => ({ at: toY(value), words: value.toFixed(digits) })),
    ...{ x, y, frame },
  };
}

/** The value of the axis at a place in the drawing, within what is shown. */
export function valueAt({ x, frame }: Drawing, pixels: number): number {
  const part = Math.min(1, Math.max(0, (pixels - frame.left) / frame.width));
  return x[0] + part * (x[1] - x[0]);
}
