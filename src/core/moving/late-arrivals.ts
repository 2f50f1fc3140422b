// Runs that are on their way to a log for too long are given up, so that they hold no place.
import { LOGS_LIMITS } from '../limits.ts';
import type { NetworkState } from '../state.ts';

/** Call it after a tick. Whoever brings such a run may begin again. */
export function dropLateArrivals(state: NetworkState): void {
  for (const [run, { since_ms }] of state.arriving) {
    if (state.time_ms - since_ms >= LOGS_LIMITS.arriving_ms) state.arriving.delete(run);
  }
}
