// Moves every run along: opens rounds, lets the clock tick, does the merges. All decisions are the core's; this only acts on them.
import { awaitsDraw, roundDrawn } from '../core/rounds/panel.ts';
import { mayHalt } from '../core/rounds/rising-loss.ts';
import { mayStateShares, statementOf } from '../core/shares/share-table.ts';
import { mayOpenRound, type RunState } from '../core/state.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import { HubError } from './errors.ts';
import { openFailedMerges } from './failed-merges.ts';
import { type LogClock, skewOf } from './log-clock.ts';
import type { Models } from './models.ts';
import { runProblem } from './run-problems.ts';
import type { Sequencer } from './sequencer.ts';

/** While somebody works, the log's clock moves at least this often, so that a gap means that the hub was away. */
const TICK_EVERY_MS = 5000;

export interface Rounds {
  /** What keeps a run from going on; null: nothing. */
  problemOf(run: RunState): string | null;
  /** Stops the clock; a merge under way is finished. */
  close(): Promise<void>;
}

/**
 * Drives the runs of a sequencer. `onError` gets what goes wrong with one, once; a run whose merge fails stays in its phase
 * and is tried again later (failed-merges.ts), the others go on.
 */
export function driveRounds(
  sequencer: Sequencer,
  models: Models,
  options: {
    /** The hub's own: judges are drawn with it. */
    readonly identity: DrawingIdentity;
    readonly clock: Clock;
    readonly time: LogClock;
    readonly onError: (error: unknown, run: RunState) => void;
    /** Told once when the log's time begins to differ from the machine's clock. */
    readonly onSkew: (error: HubError) => void;
  },
): Rounds {
  const { state } = sequencer;
  const { identity, clock, time } = options;
  const busy = new Map<string, Promise<void>>();
  const failedMerges = openFailedMerges(() => clock.elapsed_ms());
  let timer: Timer;
  let retryTimer: Timer;
  let closed = false;

  const nextStep = async (run: RunState): Promise<void> => {
    // Whenever something was awaited, its owner may have paused or ended the run: that is another attempt.
    const { id, round, attempt } = run;
    if (run.phase === 'merging') {
      const merge = await models.merge(state, run);
      if (run.attempt === attempt) await sequencer.write(merge);
    } else if (awaitsDraw(run, state.time_ms)) {
      await sequencer.write(roundDrawn(run, identity.prove));
    } else if (mayStateShares(run)) {
      await sequencer.write(statementOf(run));
    } else if (mayHalt(run)) {
      await sequencer.write({ type: 'run.halted', version: 1, run: id, round, attempt, reason: 'loss-rises' });
      options.onError(new HubError('run-halted', runProblem(run, time) ?? ''), run);
    } else if (mayOpenNow(run)) {
      // The round's time starts now, not at the last tick.
      await tick();
      if (run.attempt === attempt && mayOpenRound(run)) {
        await sequencer.write({ type: 'round.opened', version: 1, run: id, round, attempt });
      }
    }
  };

  let skewed = false;
  const tick = async (): Promise<void> => {
    const skew = skewOf(time.ahead_ms());
    if (skew && !skewed) options.onSkew(new HubError('clock-skew', skew));
    skewed = skew !== null;
    // Always another one, so that no tick is the same event as the one before.
    const time_ms = () => Math.max(Math.floor(time.now_ms()), state.time_ms + 1);
    await sequencer.write(() => ({ type: 'tick', version: 1, time_ms: time_ms() }));
  };

  const drive = (): void => {
    if (closed) return;
    for (const run of state.runs.values()) {
      if (!isDue(run) || busy.has(run.id)) continue;
      const work = nextStep(run)
        .then(
          () => true,
          (error) => {
            if (!closed) tell(error, run);
            return false;
          },
        )
        .then((fine) => {
          busy.delete(run.id);
          if (fine && isDue(run)) drive();
          else schedule();
        });
      busy.set(run.id, work);
    }
    schedule();
  };

  const tell = (error: unknown, run: RunState): void => {
    const told = run.phase === 'merging' ? failedMerges.failed(run, error) : error;
    if (told) options.onError(told, run);
  };

  const isDue = (run: RunState): boolean =>
    (run.phase === 'merging' && !failedMerges.waits(run)) ||
    awaitsDraw(run, state.time_ms) ||
    mayStateShares(run) ||
    mayHalt(run) ||
    mayOpenNow(run);

  /** A round that has brought nothing waits before it is opened again. */
  const mayOpenNow = (run: RunState): boolean => mayOpenRound(run) && time.until_ms(run.idle.opens_ms) === 0;

  /** Wakes at the next deadline, or after TICK_EVERY_MS while a round is open; an idle hub writes nothing. */
  const schedule = (): void => {
    clock.clearTimeout(timer);
    clock.clearTimeout(retryTimer);
    if (closed) return;
    const next = failedMerges.nextTry(state.runs.values());
    const waiting = [...state.runs.values()]
      .filter(mayOpenRound)
      .map((run) => time.until_ms(run.idle.opens_ms))
      .filter((ms) => ms > 0);
    const waits_ms = Math.min(...waiting, next === null ? Number.POSITIVE_INFINITY : next - clock.elapsed_ms());
    if (Number.isFinite(waits_ms)) retryTimer = clock.setTimeout(drive, Math.max(1, Math.ceil(waits_ms)));
    const open = [...state.runs.values()].filter((run) => ['working', 'judging', 'revealing'].includes(run.phase));
    if (open.length === 0) return;
    const deadlines = open.flatMap((run) =>
      run.phase === 'working'
        ? [run.deadline_ms]
        : run.phase === 'judging'
          ? [run.grace_deadline_ms, run.judging_deadline_ms]
          : [run.reveal_deadline_ms],
    );
    const ahead_ms = deadlines.filter((deadline) => deadline > state.time_ms).map(time.until_ms);
    // Judging and revealing are timed from the next tick, so that comes at once.
    const untimed = open.some(
      (run) =>
        (run.phase === 'judging' && (run.draw === null ? run.grace_deadline_ms : run.judging_deadline_ms) === 0) ||
        (run.phase === 'revealing' && run.reveal_deadline_ms === 0),
    );
    // Counted from the last tick: events that come all the time must not put off the next one for ever.
    const next_ms = Math.min(TICK_EVERY_MS, time.until_ms(state.time_ms + TICK_EVERY_MS), ...ahead_ms);
    const wait_ms = untimed ? 1 : Math.max(1, next_ms);
    timer = clock.setTimeout(() => {
      tick().then(drive, () => schedule());
    }, wait_ms);
  };

  sequencer.onEvent(drive);
  drive();
  return {
    problemOf: (run) => failedMerges.problemOf(run) ?? runProblem(run, time),
    async close() {
      closed = true;
      clock.clearTimeout(timer);
      clock.clearTimeout(retryTimer);
      await Promise.all(busy.values());
    },
  };
}
