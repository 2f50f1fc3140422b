// Moves every run along: opens rounds, lets the clock tick, does the merges. All decisions are the core's; this only acts on them.
import { mayStateShares, statementOf } from '../core/share-table.ts';
import { mayOpenRound, type RunState } from '../core/state.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { Models } from './models.ts';
import type { Sequencer } from './sequencer.ts';

/** While somebody works, the log's clock moves at least this often, so that a gap means that the hub was away. */
const TICK_EVERY_MS = 5000;

export interface Rounds {
  /** Stops the clock; a merge under way is finished. */
  close(): Promise<void>;
}

/**
 * Drives the runs of a sequencer. `onError` gets what goes wrong in a merge; the run then stays in its phase
 * and is tried again at the next tick, the others go on.
 */
export function driveRounds(
  sequencer: Sequencer,
  models: Models,
  options: { readonly clock: Clock; readonly onError: (error: unknown, run: RunState) => void },
): Rounds {
  const { state } = sequencer;
  const { clock } = options;
  const busy = new Map<string, Promise<void>>();
  let timer: Timer;
  let closed = false;

  const nextStep = async (run: RunState): Promise<void> => {
    const { id, round, attempt } = run;
    if (run.phase === 'merging') {
      await sequencer.write(await models.merge(state, run));
    } else if (mayStateShares(run)) {
      await sequencer.write(statementOf(run));
    } else if (mayOpenRound(run)) {
      // The round's time starts now, not at the last tick.
      await tick();
      await sequencer.write({ type: 'round.opened', version: 1, run: id, round, attempt });
    }
  };

  const tick = async (): Promise<void> => {
    const time_ms = Math.max(clock.now_ms(), state.time_ms);
    await sequencer.write({ type: 'tick', version: 1, time_ms });
  };

  const drive = (): void => {
    if (closed) return;
    for (const run of state.runs.values()) {
      if (!isDue(run) || busy.has(run.id)) continue;
      const work = nextStep(run)
        .then(
          () => true,
          (error) => {
            if (!closed) options.onError(error, run);
            return false;
          },
        )
        .then((fine) => {
          busy.delete(run.id);
          if (fine && isDue(run)) drive();
        });
      busy.set(run.id, work);
    }
    schedule();
  };

  const isDue = (run: RunState): boolean => run.phase === 'merging' || mayStateShares(run) || mayOpenRound(run);

  /** Wakes at the next deadline, or after TICK_EVERY_MS while a round is open; an idle hub writes nothing. */
  const schedule = (): void => {
    clock.clearTimeout(timer);
    if (closed) return;
    const open = [...state.runs.values()].filter((run) => ['working', 'judging', 'revealing'].includes(run.phase));
    const stuck = [...state.runs.values()].some((run) => run.phase === 'merging');
    if (open.length === 0 && !stuck) return;
    const deadlines = open.flatMap((run) =>
      run.phase === 'working'
        ? [run.deadline_ms]
        : run.phase === 'judging'
          ? [run.grace_deadline_ms, run.judging_deadline_ms]
          : [run.reveal_deadline_ms],
    );
    const ahead_ms = deadlines
      .filter((deadline) => deadline > state.time_ms)
      .map((deadline) => deadline - clock.now_ms());
    // Judging and revealing are timed from the next tick, so that comes at once.
    const untimed = open.some(
      (run) =>
        (run.phase === 'judging' && run.judging_deadline_ms === 0) ||
        (run.phase === 'revealing' && run.reveal_deadline_ms === 0),
    );
    // Counted from the last tick: events that come all the time must not put off the next one for ever.
    const next_ms = Math.min(TICK_EVERY_MS, state.time_ms + TICK_EVERY_MS - clock.now_ms(), ...ahead_ms);
    const wait_ms = untimed ? 1 : Math.max(1, next_ms);
    timer = clock.setTimeout(() => {
      tick().then(drive, () => schedule());
    }, wait_ms);
  };

  sequencer.onEvent(drive);
  drive();
  return {
    async close() {
      closed = true;
      clock.clearTimeout(timer);
      await Promise.all(busy.values());
    },
  };
}
