// Moves every run along: opens rounds, writes ticks, merges. round-plan.ts and the core decide what comes next; this file acts.
import { isLeaving, movedOf, takenAlong } from '../core/moving/leaving.ts';
import { roundDrawn } from '../core/rounds/panel.ts';
import { statementOf } from '../core/shares/share-table.ts';
import { mayOpenRound, type RunState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import type { DrawingIdentity } from '../protocol/identity.ts';
import { HubError } from './errors.ts';
import { openFailedMerges } from './failed-merges.ts';
import { type LogClock, skewOf, writeTick } from './log-clock.ts';
import type { Models } from './models.ts';
import { type Known, planStep, planWakeUps, type Step } from './round-plan.ts';
import { runProblem } from './run-problems.ts';
import type { Sequencer } from './sequencer.ts';

export interface Rounds {
  /** What keeps a run from going on; null for nothing. */
  problemOf(run: RunState): string | null;
  /** Stops the clock; a merge under way is finished. */
  close(): Promise<void>;
}

export interface RoundsOptions {
  readonly sequencer: Sequencer;
  readonly models: Pick<Models, 'merge'>;
  /** Where what a run takes along to another hub is kept. */
  readonly blobs: Pick<BlobStore, 'put'>;
  /** The hub's own identity, with which judges are drawn. */
  readonly identity: DrawingIdentity;
  readonly clock: Clock;
  readonly time: LogClock;
  readonly onError: (error: unknown, run: RunState) => void;
  /** Called once when the log's time begins to differ from the machine's clock. */
  readonly onSkew: (error: HubError) => void;
}

/**
 * Drives the runs of a sequencer. `onError` gets each problem of a run once. A run whose merge fails stays in its phase
 * and is tried again later (failed-merges.ts); the others go on.
 */
export function driveRounds(options: RoundsOptions): Rounds {
  const { sequencer, clock, time } = options;
  const { state } = sequencer;
  const busy = new Map<string, Promise<void>>();
  const failedMerges = openFailedMerges(() => clock.elapsed_ms());
  let tickTimer: Timer;
  let lookTimer: Timer;
  let skewed = false;
  let closed = false;

  const tick = async (): Promise<void> => {
    const skew = skewOf(time.ahead_ms());
    if (skew && !skewed) options.onSkew(new HubError('clock-skew', skew));
    skewed = skew !== null;
    await writeTick(sequencer, time);
  };

  const known = (): Known => ({ time_ms: state.time_ms, until_ms: time.until_ms });
  const stepOf = (run: RunState): Step | null => planStep(run, known(), failedMerges.waits(run));

  const drive = (): void => {
    if (closed) return;
    for (const run of state.runs.values()) {
      const step = stepOf(run);
      if (step && !busy.has(run.id)) busy.set(run.id, work(step, run));
    }
    schedule();
  };

  const work = async (step: Step, run: RunState): Promise<void> => {
    const done = await act(step, run, { ...options, tick }).then(
      () => true,
      (error) => {
        if (!closed) report(error, run);
        return false;
      },
    );
    busy.delete(run.id);
    if (done && stepOf(run)) drive();
    else schedule();
  };

  const report = (error: unknown, run: RunState): void => {
    const unreported = run.phase === 'merging' ? failedMerges.failed(run, error) : error;
    if (unreported) options.onError(unreported, run);
  };

  const schedule = (): void => {
    clock.clearTimeout(tickTimer);
    clock.clearTimeout(lookTimer);
    if (closed) return;
    const runs = [...state.runs.values()];
    const retry = failedMerges.nextTry(runs);
    const { look_ms, tick_ms } = planWakeUps(runs, known(), retry === null ? null : retry - clock.elapsed_ms());
    if (look_ms !== null) lookTimer = clock.setTimeout(drive, look_ms);
    if (tick_ms !== null) tickTimer = clock.setTimeout(() => void tick().then(drive, schedule), tick_ms);
  };

  sequencer.onEvent(drive);
  drive();
  return {
    problemOf: (run) => failedMerges.problemOf(run) ?? runProblem(run, time),
    async close() {
      closed = true;
      clock.clearTimeout(tickTimer);
      clock.clearTimeout(lookTimer);
      await Promise.all(busy.values());
    },
  };
}

/** Does what was planned for a run. Rejects with any error of it. */
async function act(step: Step, run: RunState, hub: RoundsOptions & { tick(): Promise<void> }): Promise<void> {
  const { sequencer } = hub;
  // During each await the owner may have paused or ended the run, which makes it another attempt.
  const { id, round, attempt } = run;
  switch (step) {
    case 'merge': {
      const merge = await hub.models.merge(sequencer.state, run);
      if (run.attempt === attempt) await sequencer.write(merge);
      return;
    }
    case 'draw':
      await sequencer.write(roundDrawn(run, hub.identity.prove));
      return;
    case 'state-shares':
      await sequencer.write(statementOf(run));
      return;
    case 'let-go':
      await letGo(run, hub);
      return;
    case 'halt':
      await sequencer.write({ type: 'run.halted', version: 2, run: id, round, attempt, reason: 'models-get-worse' });
      hub.onError(new HubError('run-halted', runProblem(run, hub.time) ?? ''), run);
      return;
    case 'open-round':
      // The round's time starts now, not at the last tick.
      await hub.tick();
      if (run.attempt === attempt && mayOpenRound(run)) {
        await sequencer.write({ type: 'round.opened', version: 1, run: id, round, attempt });
      }
  }
}

/**
 * A run goes to another hub: what it takes along is kept before the log names it. Where somebody comes or goes meanwhile, this is done again. Throws
 * what the log says of a run that cannot go, such as one that takes too much along.
 */
export async function letGo(
  run: RunState,
  { sequencer, blobs }: Pick<RoundsOptions, 'sequencer' | 'blobs'>,
): Promise<void> {
  const { state } = sequencer;
  while (isLeaving(run)) {
    const moved = movedOf(state, run);
    await blobs.put(takenAlong(state, run));
    if (!isLeaving(run) || movedOf(state, run).state !== moved.state) continue;
    try {
      await sequencer.write(moved);
    } catch (error) {
      const isOld = isLeaving(run) && movedOf(state, run).state !== moved.state;
      if (!isOld || !(error instanceof HubError && error.details.refusal === 'wrong-state')) throw error;
    }
  }
}
