// Time for hub and peers. It is handed in, so that the simulator can run them on a virtual clock.
import { formatDuration } from './duration.ts';

/** The handle that `setTimeout` returns; only good for `clearTimeout`. */
export type Timer = unknown;

export interface Clock {
  /** Milliseconds since 1970, by this machine's wall clock, which people and administrators may set. */
  now_ms(): number;
  /** Milliseconds since some moment; it never goes back. For measuring how long something took. */
  elapsed_ms(): number;
  /** Milliseconds since the machine started, including time asleep. On a machine that does not tell, the caller notices no sleep. */
  uptime_ms?(): number;
  setTimeout(run: () => void, delay_ms: number): Timer;
  /** Does nothing for a timer that has fired, and for undefined. */
  clearTimeout(timer: Timer): void;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  now_ms: () => Date.now(),
  elapsed_ms: () => performance.now(),
  setTimeout: (run, delay_ms) => setTimeout(run, delay_ms),
  clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout> | undefined),
};

/** Resolves after some time. */
export function sleep(clock: Clock, delay_ms: number): Promise<void> {
  return new Promise((resolve) => void clock.setTimeout(resolve, delay_ms));
}

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

/** The clocks of computers that set their clock automatically differ by less than this. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** A warning for the reader of a log whose hub's clock is ahead of the reader's; null where it is not. */
export function clockAhead(log_ms: number, now_ms: number): string | null {
  const ahead_ms = log_ms - now_ms;
  if (ahead_ms <= CLOCK_TOLERANCE_MS) return null;
  return `the hub's clock is ${formatDuration(ahead_ms)} ahead of yours: one of the two is wrong, and times in its log are not those of your clock`;
}
