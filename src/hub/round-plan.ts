// What a hub does next for a run, and when it checks again: pure, from the core's state and what the hub knows beside it. rounds.ts acts on it.
import { isLeaving } from '../core/moving/leaving.ts';
import { awaitsDraw } from '../core/rounds/panel.ts';
import { mayHalt } from '../core/rounds/worse-models.ts';
import { mayStateShares } from '../core/shares/share-table.ts';
import { mayOpenRound, type RunState } from '../core/state.ts';

/** While somebody works, the log's clock moves at least this often, so that a gap means that the hub was down. */
export const TICK_EVERY_MS = 5000;

/** The steps with which a hub moves a run along. */
export type Step = 'merge' | 'draw' | 'state-shares' | 'let-go' | 'halt' | 'open-round';

export interface Known {
  /** The log's time at its last event. */
  readonly time_ms: number;
  /** Milliseconds until the log's time is that; 0 where it is past. */
  readonly until_ms: (time_ms: number) => number;
}

/**
 * The one thing to do for a run now; null where others must act, or a time must come.
 * @param merge_waits whether its merge has failed and must not be tried yet
 */
export function planStep(run: RunState, { time_ms, until_ms }: Known, merge_waits: boolean): Step | null {
  if (run.phase === 'merging') return merge_waits ? null : 'merge';
  if (awaitsDraw(run, time_ms)) return 'draw';
  if (mayStateShares(run)) return 'state-shares';
  if (isLeaving(run)) return 'let-go';
  if (mayHalt(run)) return 'halt';
  // A round without accepted work waits before it is opened again.
  if (mayOpenRound(run) && until_ms(run.idle.opens_ms) === 0) return 'open-round';
  return null;
}

/** Milliseconds until the next check of the runs, and until the next tick; null: not before something happens. */
export interface WakeUps {
  readonly look_ms: number | null;
  readonly tick_ms: number | null;
}

/**
 * A check when a waiting round may open or a failed merge is due; a tick at the next deadline, or after TICK_EVERY_MS while a round is open.
 * An idle hub writes nothing.
 * @param retry_ms until a failed merge is tried again; null where none has failed
 */
export function planWakeUps(runs: readonly RunState[], { time_ms, until_ms }: Known, retry_ms: number | null): WakeUps {
  const openings_ms = runs.filter(mayOpenRound).map((run) => until_ms(run.idle.opens_ms));
  const looks_ms = [...openings_ms.filter((ms) => ms > 0), ...(retry_ms === null ? [] : [retry_ms])];
  const look_ms = looks_ms.length === 0 ? null : Math.max(1, Math.ceil(Math.min(...looks_ms)));
  const open = runs.filter(({ phase }) => phase === 'working' || phase === 'judging' || phase === 'revealing');
  if (open.length === 0) return { look_ms, tick_ms: null };
  // Judging and revealing are timed from the next tick, so that one comes at once.
  if (open.some(isUntimed)) return { look_ms, tick_ms: 1 };
  const ahead_ms = open.flatMap(deadlinesOf).filter((deadline_ms) => deadline_ms > time_ms);
  // Counted from the last tick, so that frequent events cannot put off the next one for ever.
  const next_ms = Math.min(TICK_EVERY_MS, until_ms(time_ms + TICK_EVERY_MS), ...ahead_ms.map(until_ms));
  return { look_ms, tick_ms: Math.max(1, next_ms) };
}

/** Whether an open round waits for a time that no tick has set yet. */
function isUntimed(run: RunState): boolean {
  if (run.phase === 'judging') return (run.draw === null ? run.grace_deadline_ms : run.judging_deadline_ms) === 0;
  return run.phase === 'revealing' && run.reveal_deadline_ms === 0;
}

function deadlinesOf(run: RunState): number[] {
  if (run.phase === 'working') return [run.deadline_ms];
  return run.phase === 'judging' ? [run.grace_deadline_ms, run.judging_deadline_ms] : [run.reveal_deadline_ms];
}
