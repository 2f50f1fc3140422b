// Compares the hub's clock, which measures every deadline, with other clocks: workers sign when they saw a round open (`seen_ms`), owners when
// they created a run, and witnesses when they cosigned.
//
// Honest clocks differ too, so a single clock proves nothing about the hub. Findings are reported as numbers and accuse nobody:
// - *Skew.* Each clock gives an interval for how far the hub's clock was ahead of it: a worker saw a round after it was open and before its
//   work was in the log. The median over all clocks is reported where it exceeds the usual difference between clocks that are set.
// - *Jumps.* A worker sees a round shortly after it opens, never before. If the log's time advanced much further between two openings than
//   most workers' clocks did, the hub's time ran ahead, and the round could end before anybody worked. Each round is compared with the
//   worker's last rounds, with a tenth of tolerance for clocks that are being corrected (hub/log-clock.ts).
import type { LoggedEvent } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';
import { CLOCK_TOLERANCE_MS } from '../protocol/clock.ts';
import { formatDuration } from '../protocol/duration.ts';

/** A jump: by most workers' clocks the hub's ran ahead by more than this between two rounds. No view takes that long to reach a peer. */
const JUMP_MS = 10_000;
/** How much faster a log's time may run while it is corrected. */
const DRIFT_PART = 0.1;
/** How many earlier rounds a worker's next one is compared with: it saw at least one of them at once. */
const ROUNDS_BACK = 4;
/** With fewer clocks, nothing is concluded about a jump. */
const LEAST_CLOCKS = 2;
/** How many intervals are kept of each clock. */
const INTERVALS = 64;
/** How many rounds are listed one by one. */
const NAMED = 20;

/** How far the hub's clock was ahead of another: at least and at most. */
interface Interval {
  readonly least_ms: number;
  readonly most_ms: number;
}

interface Worker {
  readonly intervals: Interval[];
  /** The last rounds that this worker saw: the hub's time of the opening less the worker's own time. */
  readonly before: { readonly ahead_ms: number; readonly seen_ms: number }[];
}

export interface ClockReport {
  /** The number of other clocks in the log or beside it, and how far the hub's was ahead of most of them; null without any. */
  readonly clocks: number;
  readonly ahead_ms: number | null;
  /** How often a round was opened. */
  readonly rounds: number;
  /** Rounds whose length at least two workers' clocks confirm, and rounds before which the hub's clock ran ahead of most. */
  readonly rounds_compared: number;
  readonly jumps: readonly {
    readonly run: string;
    readonly round: number;
    readonly index: number;
    readonly ahead_ms: number;
    readonly clocks: number;
  }[];
  /** Rounds without any work although workers were present; no clock says how long those were. */
  readonly rounds_without_work: number;
}

export class ClockCheck {
  readonly #workers = new Map<string, Worker>();
  readonly #others: Interval[] = [];
  readonly #joined_ms = new Map<string, number>();
  /** Intervals whose end is the next tick. */
  #open: { readonly least_ms: number; readonly clock_ms: number; readonly into: Interval[] }[] = [];
  /** By run, what each of the round's workers says about the time since the round before. */
  readonly #rounds = new Map<string, { round: number; index: number; ahead_ms: number[] }>();
  readonly #cosigned: readonly { readonly size: number; readonly time_ms: number }[];
  readonly #jumps: ClockReport['jumps'][number][] = [];
  #opened = 0;
  #rounds_compared = 0;
  #without_work = 0;

  /** `cosigned`: when witnesses say that they saw a head of so many events. */
  constructor(cosigned: readonly { readonly size: number; readonly time_ms: number }[] = []) {
    this.#cosigned = cosigned;
  }

  /** Takes an event and the state before it. */
  before({ body }: LoggedEvent, state: NetworkState): void {
    if (body.type !== 'round.merged') return;
    const run = state.runs.get(body.run);
    if (run && run.submissions.size === 0 && run.attendance.workers > 0) this.#without_work++;
  }

  /** Takes an event and the state after it. */
  after({ author, body }: LoggedEvent, index: number, state: NetworkState): void {
    const { time_ms } = state;
    if (body.type === 'tick') this.#tick(body.time_ms);
    for (const head of this.#cosigned) if (head.size === index + 1) this.#since(time_ms, head.time_ms, this.#others);
    if (body.type === 'run.created') this.#since(Number.NEGATIVE_INFINITY, body.created_ms, this.#others);
    if (body.type === 'peer.joined') this.#joined_ms.set(`${body.run} ${author}`, time_ms);
    if (body.type === 'round.opened') {
      this.#opened++;
      this.#endRound(body.run);
      this.#rounds.set(body.run, { round: body.round, index, ahead_ms: [] });
    }
    if (body.type !== 'work.submitted' || body.seen_ms === undefined) return;
    const opened_ms = state.runs.get(body.run)?.opened_ms ?? time_ms;
    const least_ms = Math.max(opened_ms, this.#joined_ms.get(`${body.run} ${author}`) ?? 0);
    this.#worked(author, body.run, least_ms, body.seen_ms);
  }

  report(state: NetworkState): ClockReport {
    for (const run of this.#rounds.keys()) this.#endRound(run);
    for (const { least_ms, clock_ms, into } of this.#open)
      keep(into, { least_ms: least_ms - clock_ms, most_ms: Number.POSITIVE_INFINITY });
    const over = [...state.runs.values()].filter(
      ({ phase, submissions, attendance }) =>
        ['judging', 'revealing', 'merging'].includes(phase) && submissions.size === 0 && attendance.workers > 0,
    );
    const intervals = [...this.#others];
    for (const { intervals: own } of this.#workers.values()) {
      const [least_ms, most_ms] = [middle(own.map((one) => one.least_ms)), middle(own.map((one) => one.most_ms))];
      intervals.push({ least_ms, most_ms });
    }
    const ahead = intervals.map(({ least_ms, most_ms }) => (least_ms > 0 ? least_ms : Math.min(0, most_ms)));
    return {
      clocks: ahead.length,
      ahead_ms: ahead.length > 0 ? middle(ahead) : null,
      rounds: this.#opened,
      rounds_compared: this.#rounds_compared,
      jumps: this.#jumps,
      rounds_without_work: this.#without_work + over.length,
    };
  }

  #worked(author: string, run: string, opened_ms: number, seen_ms: number): void {
    const worker = this.#workers.get(author) ?? { intervals: [], before: [] };
    this.#workers.set(author, worker);
    this.#since(opened_ms, seen_ms, worker.intervals);
    const ahead_ms = opened_ms - seen_ms;
    if (worker.before.length > 0) {
      const gains = worker.before.map((at) => ahead_ms - at.ahead_ms - DRIFT_PART * Math.max(0, seen_ms - at.seen_ms));
      this.#rounds.get(run)?.ahead_ms.push(Math.min(...gains));
    }
    worker.before.push({ ahead_ms, seen_ms });
    if (worker.before.length > ROUNDS_BACK) worker.before.shift();
  }

  #endRound(run: string): void {
    const open = this.#rounds.get(run);
    this.#rounds.delete(run);
    if (!open || open.ahead_ms.length < LEAST_CLOCKS) return;
    this.#rounds_compared++;
    const ahead_ms = middle(open.ahead_ms);
    if (ahead_ms <= JUMP_MS || this.#jumps.length >= NAMED) return;
    const { round, index } = open;
    this.#jumps.push({ run, round, index, ahead_ms: Math.round(ahead_ms), clocks: open.ahead_ms.length });
  }

  /** Another clock said `clock_ms` when the hub's said at least `least_ms`, and before the hub's next tick. */
  #since(least_ms: number, clock_ms: number, into: Interval[]): void {
    this.#open.push({ least_ms, clock_ms, into });
  }

  #tick(time_ms: number): void {
    for (const { least_ms, clock_ms, into } of this.#open) {
      keep(into, { least_ms: least_ms - clock_ms, most_ms: time_ms - clock_ms });
    }
    this.#open = [];
  }
}

/** The report in sentences for people. */
export function clockWarnings({ clocks, ahead_ms, jumps }: ClockReport): string[] {
  const list: string[] = [];
  if (ahead_ms !== null && Math.abs(ahead_ms) > CLOCK_TOLERANCE_MS) {
    const whose =
      clocks === 1
        ? 'the only other clock in the log: one of the two is'
        : `most of ${clocks} other clocks in the log: it is`;
    list.push(
      `the hub's clock was ${formatDuration(Math.abs(ahead_ms))} ${ahead_ms > 0 ? 'ahead of' : 'behind'} ${whose} wrong`,
    );
  }
  for (const { run, round, index, ahead_ms, clocks } of jumps) {
    list.push(
      `before round ${round} of run ${run.slice(0, 12)} (event ${index}) the hub's clock went on ${formatDuration(ahead_ms)} further than those of most of ${clocks} workers: it was set, or put forward to end a round early`,
    );
  }
  return list;
}

/** What no clock shows, in sentences. */
export function clockGaps({ rounds, rounds_compared, rounds_without_work }: ClockReport): string[] {
  const list: string[] = [];
  const open = rounds - rounds_compared;
  if (open > 0)
    list.push(`how long ${open} of ${rounds} rounds really took: the clocks of fewer than two workers show it`);
  if (rounds_without_work > 0) {
    const ended = rounds_without_work === 1 ? '1 round ended' : `${rounds_without_work} rounds ended`;
    list.push(
      `why ${ended} without any work although workers were here: they were too slow, or the hub put its clock forward`,
    );
  }
  return list;
}

function keep(into: Interval[], interval: Interval): void {
  into.push(interval);
  if (into.length > INTERVALS) into.shift();
}

/** The median; of two middle values the one nearer to zero. */
function middle(list: readonly number[]): number {
  const sorted = [...list].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return Math.abs(low) < Math.abs(high) ? low : high;
}
