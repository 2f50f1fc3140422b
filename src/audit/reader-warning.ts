// What a reader of a run in a log should know though nothing in it is untrue.
import type { NetworkState, RunState } from '../core/state.ts';
import { clockAhead } from '../protocol/clock.ts';

/** That the hub's clock is ahead of the reader's, and that the run goes on elsewhere; null where there is nothing to say. */
export function readerWarning(
  { time_ms }: Pick<NetworkState, 'time_ms'>,
  { moved, round }: Pick<RunState, 'moved' | 'round'>,
  now_ms: number,
): string | null {
  const gone =
    moved &&
    `the run went on after ${round} rounds in the log of the hub ${moved.hub} (${moved.url}), and what came since is there`;
  return [clockAhead(time_ms, now_ms), gone].filter((what) => what !== null).join('; ') || null;
}
