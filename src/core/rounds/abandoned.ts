// Abandoned runs: nobody takes part in them, but they count against their hub's limit, so the hub may end them to make room for another run.
import type { RunState } from '../state.ts';

/**
 * How long nobody must have been in a run before it counts as abandoned. A run without merges can simply be created again; one with merges
 * is kept as long as an upload that no event names.
 */
const ABANDONED_MS = { unstarted: 3_600_000, merged: 3 * 86_400_000 } as const;

/** After a tick: since when the run has been empty. An idle hub writes no ticks, so the time before the first one does not count. */
export function noteEmpty(run: RunState, time_ms: number): void {
  if (run.attendance.workers + run.validators.length > 0) run.empty_since_ms = 0;
  else if (run.empty_since_ms === 0) run.empty_since_ms = time_ms;
}

/** When the hub may end a run in its owner's place; infinity where it may not while the run's state stays as it is. */
export function abandonedFrom({ phase, round, attendance, validators, empty_since_ms }: RunState): number {
  const isOpen = phase !== 'gathering' && phase !== 'paused';
  if (isOpen || empty_since_ms === 0 || attendance.workers + validators.length > 0) return Number.POSITIVE_INFINITY;
  return empty_since_ms + (round === 0 ? ABANDONED_MS.unstarted : ABANDONED_MS.merged);
}
