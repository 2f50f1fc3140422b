// The run's first metric against what was spent for it: how it is drawn, what else is drawn beside it, and what can be taken away.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { z } from 'zod';
import { valueText } from '../../protocol/measures.ts';
import { type WorkerPoint, WorkerPointSchema } from '../../protocol/messages.ts';
import { capital, formatCount, formatDuration, nameOf } from '../shell/format.ts';
import type { Live, LiveRun } from '../shell/live.ts';
import { DISHES, dishesOf } from './brought.ts';
import type { Looks } from './chart-drawing.ts';
import { ChartPlot } from './chart-plot.tsx';
import { type Axis, type Curve, curvesOf, otherRun, workerCurve } from './curves.ts';

/** Fetched when somebody takes something away. */
const files = () => import('./chart-files.ts');

const AXES: readonly Axis[] = ['amount', 'time', 'rounds'];
const FIRST_LOOKS: Looks = { axis: 'amount', smoothing: 0, logarithmic: false, ignore_outliers: false, zoom: null };
const WorkerAnswer = z.object({ rounds: z.array(WorkerPointSchema) });

export function MetricChart({ run, live, workers }: { run: LiveRun; live: Live; workers: readonly string[] }) {
  const [looks, setLooks] = useState<Looks>(FIRST_LOOKS);
  const [others, setOthers] = useState<ReadonlySet<string>>(new Set());
  const place = useRef<HTMLElement>(null);
  const said = useWorkerPoints(run, workers);
  const { axis } = looks;
  const curves = useMemo(() => {
    const dishes = dishesOf(run.peers.values());
    const more = [...said].map(([id, rounds]) =>
      workerCurve(run, id, nameOf(run.peers.get(id)?.name ?? id), rounds, axis, dishes.get(id) ?? 0),
    );
    const beside = [...others].flatMap((id, i) => {
      const other = live.runs.get(id);
      return other ? [otherRun(other, nameOf(other.overview.name), axis, i % DISHES)] : [];
    });
    return [...beside, ...more, ...curvesOf(run, axis)];
  }, [run.overview.run, freshness([run, ...live.runs.values()]), axis, said, others]);
  const shown = useMemo(() => curves.filter(({ points }) => points.length > 0), [curves]);
  const change = (part: Partial<Looks>): void => setLooks((before) => ({ ...before, ...part }));
  const words = nameOf(run.overview.metrics[0].words);
  const name = `${nameOf(run.overview.name)}: ${words}`;
  const unit = nameOf(run.overview.unit);
  const overOf = (choice: Axis): string => (choice === 'amount' ? unit : choice);
  const enough = shown.some(({ points }) => points.length > 1);
  return (
    <section class="chart" aria-labelledby="chart-title" ref={place}>
      <div class="section-head">
        <h2 id="chart-title">{capital(words)}</h2>
        {enough && (
          <fieldset class="chips" aria-label={`${capital(words)} over`}>
            {AXES.map((choice) => (
              <button
                key={choice}
                type="button"
                class="chip"
                aria-pressed={axis === choice}
                onClick={() => change({ axis: choice, zoom: null })}
              >
                over {overOf(choice)}
              </button>
            ))}
          </fieldset>
        )}
      </div>
      {enough ? (
        <>
          <Legend curves={shown} />
          <ChartPlot
            curves={shown}
            looks={looks}
            unit={unit}
            label={describe(run)}
            onZoom={(zoom) => change({ zoom })}
          />
          <Controls looks={looks} change={change}>
            <button type="button" class="quiet" onClick={async () => (await files()).saveCsv(name, shown)}>
              Save as CSV
            </button>
            <button
              type="button"
              class="quiet"
              onClick={async () => (await files()).savePicture(name, overOf(axis), shown, looks, place.current!)}
            >
              Save as PNG
            </button>
          </Controls>
          <OtherRuns run={run} live={live} chosen={others} choose={setOthers} />
        </>
      ) : (
        <EmptyChart run={run} />
      )}
    </section>
  );
}

function Legend({ curves }: { curves: readonly Curve[] }) {
  return (
    <ul class="legend">
      {curves.toReversed().map(({ id, name, ink, dashed }) => (
        <li key={id}>
          <svg class="key" width="22" height="10" aria-hidden="true">
            <path class={`line ink-${ink}${dashed ? ' dashed' : ''}`} d="M0 5H22" />
          </svg>
          {name}
        </li>
      ))}
    </ul>
  );
}

function Controls(props: { looks: Looks; change: (part: Partial<Looks>) => void; children: preact.ComponentChildren }) {
  const { looks, change, children } = props;
  return (
    <div class="actions chart-controls">
      <label class="inline">
        Smoothing
        <input
          type="range"
          min={0}
          max={0.95}
          step={0.05}
          value={looks.smoothing}
          onInput={(event) => change({ smoothing: event.currentTarget.valueAsNumber })}
        />
      </label>
      <label class="inline">
        <input
          type="checkbox"
          checked={looks.logarithmic}
          onChange={(event) => change({ logarithmic: event.currentTarget.checked })}
        />
        Logarithmic axis
      </label>
      <label class="inline">
        <input
          type="checkbox"
          checked={looks.ignore_outliers}
          onChange={(event) => change({ ignore_outliers: event.currentTarget.checked })}
        />
        Ignore outliers
      </label>
      {children}
      {looks.zoom ? (
        <button type="button" class="quiet" onClick={() => change({ zoom: null })}>
          Show everything
        </button>
      ) : (
        <small class="drag-hint">Drag over a part to enlarge it.</small>
      )}
    </div>
  );
}

function OtherRuns(props: {
  run: LiveRun;
  live: Live;
  chosen: ReadonlySet<string>;
  choose: (chosen: ReadonlySet<string>) => void;
}) {
  const { run, live, chosen, choose } = props;
  const others = [...live.runs.values()].filter(
    ({ overview, evaluations }) =>
      overview.run !== run.overview.run &&
      evaluations.length > 1 &&
      overview.metrics[0].name === run.overview.metrics[0].name,
  );
  if (others.length === 0) return null;
  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    choose(next);
  };
  return (
    <fieldset class="chips beside" aria-label="Other runs in this chart">
      <span class="fine">Beside it:</span>
      {others.map(({ overview }) => (
        <button
          key={overview.run}
          type="button"
          class="chip"
          aria-pressed={chosen.has(overview.run)}
          onClick={() => toggle(overview.run)}
        >
          {nameOf(overview.name)}
        </button>
      ))}
    </fieldset>
  );
}

/** Changes when a curve does: the lists grow in place, and devices report all the time. */
const freshness = (runs: readonly LiveRun[]): string =>
  runs
    .map(({ evaluations, rounds }) => [evaluations, rounds].map((list) => `${list.length} ${list.at(-1)?.time_ms}`))
    .join();

/** What keeps the chart empty, as this run is. */
function EmptyChart({ run: { overview, peers, evaluations } }: { run: LiveRun }) {
  const validators = [...peers.values()].some(({ present, role }) => present && role === 'validator');
  const [measured] = evaluations;
  const words =
    overview.phase === 'finished'
      ? overview.round === 0
        ? 'There is no curve: the run ended before a round was merged.'
        : 'There is no curve: nobody measured the model.'
      : overview.phase === 'paused'
        ? 'The curve goes on when the owner resumes the run.'
        : validators || overview.round > 0
          ? 'The curve begins with the first merged round.'
          : 'The curve begins with the first merged round. A validator measures the model; none is here yet.';
  return (
    <div class="chart-empty">
      <svg viewBox="0 0 400 90" preserveAspectRatio="none" aria-hidden="true">
        <path d="M0 6C40 60 90 74 400 80" />
      </svg>
      <p>
        {words}
        {measured?.value != null && ` Measured so far: ${valueText(overview.metrics[0].name, measured.value)}.`}
      </p>
    </div>
  );
}

/** What the workers say that are to be drawn, asked for anew after every merge. */
function useWorkerPoints({ overview: { run, round } }: LiveRun, workers: readonly string[]) {
  const [points, setPoints] = useState<ReadonlyMap<string, readonly WorkerPoint[]>>(new Map());
  const wanted = workers.join(' ');
  useEffect(() => {
    let current = true;
    const ids = wanted.split(' ').filter((id) => id !== '');
    const ask = async (id: string) =>
      [id, WorkerAnswer.parse(await (await fetch(`/runs/${run}/workers/${id}`)).json()).rounds] as const;
    Promise.all(ids.map(ask)).then(
      (answers) => current && setPoints(new Map(answers)),
      () => {}, // the hub is away: what was drawn stays
    );
    return () => {
      current = false;
    };
  }, [run, round, wanted]);
  return points;
}

/** The curve for who cannot see it. */
function describe({ overview, evaluations }: LiveRun): string {
  const [{ name, words }] = overview.metrics;
  const first = evaluations[0];
  const last = evaluations.at(-1);
  if (!first || !last || first === last) return `Chart of ${nameOf(words)}: no validator has measured twice`;
  const [from, to] = [first, last].map(({ value }) => valueText(name, value ?? 0));
  const used = `${formatCount(last.amount)} ${nameOf(overview.unit)} and ${formatDuration(last.time_ms - first.time_ms)}`;
  return `Chart: ${nameOf(words)} went from ${from} to ${to} over ${used}`;
}
