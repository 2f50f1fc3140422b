// The chart itself: uPlot in the page's colours, as wide as its place.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatCount, formatDuration } from '../shell/format.ts';
import type { Axis, Columns } from './loss-chart.tsx';

const HEIGHT_PIXELS = 300;
/** Steps between the labels of an axis of time that people read easily: seconds, minutes, hours, days. */
const SECONDS = [1, 2, 5, 10, 15, 30, ...[1, 2, 5, 10, 15, 30].map((minutes) => 60 * minutes)].concat(
  [1, 2, 6, 12, 24, 48, 120, 240, 1200].map((hours) => 3600 * hours),
);

export interface Chart {
  setData(columns: Columns): void;
  destroy(): void;
}

/** Draws into an element, and again when its width or the colour scheme changes. */
export function drawChart(place: HTMLElement, axis: Axis, columns: Columns): Chart {
  let data = columns;
  let plot = make(place, axis, data);
  const again = (): void => {
    plot.destroy();
    plot = make(place, axis, data);
  };
  const resized = new ResizeObserver(() => {
    if (place.clientWidth > 0) plot.setSize({ width: place.clientWidth, height: HEIGHT_PIXELS });
  });
  resized.observe(place);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  dark.addEventListener('change', again);
  return {
    setData(next) {
      data = next;
      plot.setData(next);
    },
    destroy() {
      resized.disconnect();
      dark.removeEventListener('change', again);
      plot.destroy();
    },
  };
}

/** Digits behind the point that tell every tick from the next, two at least; uPlot's steps are 1, 2, 2.5 and 5 times a power of ten. */
const decimalsOf = (step: number): number =>
  [2, 3, 4, 5].find((digits) => Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) < 1e-6) ?? 6;

function make(place: HTMLElement, axis: Axis, data: Columns): uPlot {
  const colour = (name: string): string => getComputedStyle(place).getPropertyValue(name).trim();
  const [accent, faint, muted, line] = ['--accent', '--faint-line', '--muted', '--line'].map(colour);
  const font = `12px ${getComputedStyle(place).fontFamily}`;
  const spent = (value: number): string =>
    axis === 'time' ? formatDuration(value * 1000) : axis === 'tokens' ? formatCount(value) : String(value);
  const common = { stroke: muted, font, ticks: { show: false }, border: { show: false } };
  return new uPlot(
    {
      width: place.clientWidth,
      height: HEIGHT_PIXELS,
      padding: [8, axis === 'time' ? 36 : 20, 0, 0], // half of the last label
      legend: { show: true, live: true },
      cursor: { points: { size: 7 }, drag: { x: true, y: false } },
      scales: { x: { time: false } },
      axes: [
        {
          ...common,
          grid: { show: false },
          size: 28,
          space: axis === 'time' ? 90 : 50,
          incrs: axis === 'time' ? SECONDS : undefined,
          values: (_, ticks) => ticks.map(spent),
        },
        {
          ...common,
          grid: { stroke: line, width: 1 },
          size: 48,
          values: (_, ticks, __, ___, step) => ticks.map((tick) => tick.toFixed(decimalsOf(step))),
        },
      ],
      series: [
        { label: axis, value: (_, value) => (value === null ? '–' : spent(value)) },
        {
          label: 'validation',
          stroke: accent,
          width: 2,
          spanGaps: true,
          points: { show: true, size: 5, fill: accent },
          value: (_, value) => (value === null ? '–' : value.toFixed(4)),
        },
        {
          label: 'workers',
          stroke: faint,
          width: 1.5,
          spanGaps: true,
          points: { show: false },
          value: (_, value) => (value === null ? '–' : value.toFixed(4)),
        },
      ],
    },
    data as uPlot.AlignedData,
    place,
  );
}
