// The history of a run, for people: measurements and merged rounds as columns of numbers, thinned out, rebuilt from the log or kept with a snapshot.
import type { Submission } from '../core/state.ts';
import { inUnit } from '../protocol/measures.ts';
import type { RunHistory, Series } from '../protocol/messages.ts';
import type { Keepsake } from './snapshots.ts';
import type { Watcher } from './watched-machine.ts';

/** A chart is some thousand pixels wide, so beyond this every second point is dropped. */
const POINTS = 1024;

interface Point {
  readonly merged_rounds: number;
  readonly time_ms: number;
  readonly amount: number;
  readonly bytes: number;
  /** By the run's first metric, in its unit; null: no worker of this round reported it. */
  readonly value: number | null;
}

interface Curve {
  readonly points: Point[];
  /** The points since they were last taken. */
  fresh: Point[];
}

export interface Histories extends Keepsake, Watcher {
  /** Everything that is kept of a run. */
  of(run: string): RunHistory;
  /** What is new since the last call, for every run that has something new. */
  takeFresh(): RunHistory[];
}

export function openHistories(): Histories {
  const runs = new Map<string, { evaluations: Curve; rounds: Curve }>();
  const curvesOf = (run: string) => {
    let curves = runs.get(run);
    if (!curves) {
      curves = { evaluations: { points: [], fresh: [] }, rounds: { points: [], fresh: [] } };
      runs.set(run, curves);
    }
    return curves;
  };

  const note: Watcher['saw'] = (state, { body }, merged) => {
    if (body.type !== 'model.evaluated' && body.type !== 'round.merged') return;
    const run = state.runs.get(body.run)!;
    const { evaluations, rounds } = curvesOf(run.id);
    const { name } = run.spec.metrics[0];
    const at = (value: number | null): Point => ({
      merged_rounds: run.round,
      time_ms: state.time_ms,
      amount: run.merged_amount,
      bytes: run.bytes_submitted,
      value: value === null ? null : inUnit(name, value),
    });
    if (body.type === 'model.evaluated') add(evaluations, at(body.measured[name]));
    else if (body.bundle !== null) add(rounds, at(meanOfWorkers(name, merged)));
  };

  return {
    saw: note,
    of(run) {
      const { evaluations, rounds } = curvesOf(run);
      return { run, evaluations: columns(evaluations.points), rounds: columns(rounds.points) };
    },
    take: () => [...runs].map(([run, { evaluations, rounds }]) => [run, evaluations.points, rounds.points]),
    restore(kept) {
      for (const [run, evaluations, rounds] of kept as [string, Point[], Point[]][]) {
        runs.set(run, { evaluations: { points: evaluations, fresh: [] }, rounds: { points: rounds, fresh: [] } });
      }
    },
    takeFresh() {
      const fresh: RunHistory[] = [];
      for (const [run, { evaluations, rounds }] of runs) {
        if (evaluations.fresh.length + rounds.fresh.length === 0) continue;
        fresh.push({ run, evaluations: columns(evaluations.fresh), rounds: columns(rounds.fresh) });
        evaluations.fresh = [];
        rounds.fresh = [];
      }
      return fresh;
    },
  };
}

/** What workers of merged work say themselves by a metric: the mean, each by its amount; null: its game names no such number. */
function meanOfWorkers(metric: string, merged: readonly Submission[]): number | null {
  let [sum, amount] = [0, 0];
  for (const { body: work } of merged) {
    const value = work.numbers[metric];
    if (value === undefined) continue;
    sum += value * work.amount;
    amount += work.amount;
  }
  return amount === 0 ? null : Math.round(sum / amount);
}

/** A later point of the same round replaces the one before, because two validators may measure one model. */
function add(curve: Curve, point: Point): void {
  for (const list of [curve.points, curve.fresh]) {
    if (list.at(-1)?.merged_rounds === point.merged_rounds) list.pop();
    list.push(point);
    if (list.length > POINTS) thin(list);
  }
}

/** Drops every second point; the first and the last stay. */
function thin(points: Point[]): void {
  const last = points.at(-1)!;
  const kept = points.filter((_, i) => i % 2 === 0);
  if (kept.at(-1) !== last) kept.push(last);
  points.splice(0, points.length, ...kept);
}

function columns(points: readonly Point[]): Series {
  return {
    merged_rounds: points.map((point) => point.merged_rounds),
    time_ms: points.map((point) => point.time_ms),
    amount: points.map((point) => point.amount),
    bytes: points.map((point) => point.bytes),
    value: points.map((point) => point.value),
  };
}
