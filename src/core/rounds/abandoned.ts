// Runs that nobody is in: they hold a place on their hub, which may end them where it has none left for another.
import type { RunState } from '../state.ts';

/**
 * For how long nobody must have been in a run. One that has merged nothing can be created again by whoever misses it; one that has has as
 * long as an upload that nothing names.
 */
const ABANDONED_MS = { unstarted: 3_600_000, merged: 3 * 86_400_000 } as const;

/** After a tick: since when nobody has been here. An idle hub writes no ticks, so what passed before the first one does not count. */
export function noteEmpty(run: RunState, time_ms: number): void {
  if (run.attendance.workers + run.validators.length > 0) run.empty_since_ms = 0;
  else if (run.empty_since_ms === 0) run.empty_since_ms = time_ms;
}

/** When the hub may end a run for good in its owner's place; infinity: not while it is as it is. */
export function abandonedFrom({ phase, round, attendance, validators, empty_since_ms }: RunState): number {
  const isOpen = phase !== 'gathering' && phase !== 'paused';
  if (isOpen || empty_since_ms === 0 || attendance.workers + validators.length > 0) return Number.POSITIVE_INFINITY;
  return empty_since_ms + (round === 0 ? ABANDONED_MS.unstarted : ABANDONED_MS.merged);
}
