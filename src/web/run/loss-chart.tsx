// Loss against what was spent for it. The chart's code comes when there is something to draw.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { formatCount, formatDuration } from '../shell/format.ts';
import type { LiveRun, Point } from '../shell/live.ts';
import type { Chart } from './draw-chart.ts';

export type Axis = 'tokens' | 'time' | 'rounds';
const AXES: readonly { readonly axis: Axis; readonly name: string }[] = [
  { axis: 'tokens', name: 'tokens' },
  { axis: 'time', name: 'time' },
  { axis: 'rounds', name: 'rounds' },
];

/** Columns as uPlot takes them: x, validation loss, the workers' own loss. */
export type Columns = [number[], (number | null)[], (number | null)[]];

export function LossChart({ run, version }: { run: LiveRun; version: number }) {
  const [axis, setAxis] = useState<Axis>('tokens');
  const canvas = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart | null>(null);
  const [failed, setFailed] = useState(false);
  const columns = useMemo(() => columnsOf(run, axis), [run.evaluations, run.rounds, axis, version]);
  const enough = columns[0].length > 1;

  useEffect(() => {
    if (!enough) return;
    let wanted = true;
    import('./draw-chart.ts').then(
      ({ drawChart }) => {
        if (wanted && canvas.current) chart.current = drawChart(canvas.current, axis, columns);
      },
      () => wanted && setFailed(true),
    );
    return () => {
      wanted = false;
      chart.current?.destroy();
      chart.current = null;
    };
  }, [axis, enough]);
  useEffect(() => chart.current?.setData(columns), [columns]);

  return (
    <section class="chart" aria-labelledby="chart-title">
      <div class="section-head">
        <h2 id="chart-title">Loss</h2>
        <fieldset class="chips" aria-label="Loss over">
          {AXES.map((choice) => (
            <button
              key={choice.axis}
              type="button"
              class="chip"
              aria-pressed={axis === choice.axis}
              onClick={() => setAxis(choice.axis)}
            >
              over {choice.name}
            </button>
          ))}
        </fieldset>
      </div>
      <p class="legend">
        <span class="key validation">validation, text that nobody trains on</span>
        <span class="key workers">what the workers saw</span>
      </p>
      <div ref={canvas} class="canvas" role="img" aria-label={describe(run)}>
        {!enough && <p class="empty-line">The first points appear when a round is merged and measured.</p>}
        {failed && <p class="empty-line">The chart did not load.</p>}
      </div>
    </section>
  );
}

function columnsOf({ evaluations, rounds }: LiveRun, axis: Axis): Columns {
  const start_ms = Math.min(
    evaluations[0]?.time_ms ?? Number.POSITIVE_INFINITY,
    rounds[0]?.time_ms ?? Number.POSITIVE_INFINITY,
  );
  const x = (point: Point): number =>
    axis === 'tokens' ? point.tokens : axis === 'rounds' ? point.merged_rounds : (point.time_ms - start_ms) / 1000;
  const rows = new Map<number, [number | null, number | null]>();
  for (const point of rounds) rows.set(x(point), [null, loss(point)]);
  for (const point of evaluations) rows.set(x(point), [loss(point), rows.get(x(point))?.[1] ?? null]);
  const sorted = [...rows].sort(([a], [b]) => a - b);
  return [sorted.map(([at]) => at), sorted.map(([, [measured]]) => measured), sorted.map(([, [, own]]) => own)];
}

const loss = (point: Point): number | null => (point.loss_micro === null ? null : point.loss_micro / 1e6);

/** The curve for who cannot see it. */
function describe({ evaluations }: LiveRun): string {
  const first = evaluations[0];
  const last = evaluations.at(-1);
  if (!first || !last || first === last) return 'Chart of the loss: nothing measured yet';
  const spent = `${formatCount(last.tokens)} tokens and ${formatDuration(last.time_ms - first.time_ms)}`;
  return `Chart: validation loss went from ${loss(first)?.toFixed(3)} to ${loss(last)?.toFixed(3)} over ${spent}`;
}
