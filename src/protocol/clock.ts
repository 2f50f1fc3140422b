// Time as hub and peers know it: handed in, so that the simulator can run them on a clock of its own.
import { formatDuration } from './duration.ts';

/** What `setTimeout` gives back; only good for `clearTimeout`. */
export type Timer = unknown;

export interface Clock {
  /** Milliseconds since 1970, as this machine believes; people and administrators move it. */
  now_ms(): number;
  /** Milliseconds since some moment; only ever forwards. For measuring how long something took. */
  elapsed_ms(): number;
  /** Milliseconds since the machine started, those in which it slept among them; where it is not known, no sleep is noticed. */
  uptime_ms?(): number;
  setTimeout(run: () => void, delay_ms: number): Timer;
  /** Harmless for a timer that has fired, and for none. */
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

/** What the clocks of computers that set theirs at all are apart by, with room. */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** What somebody who reads a log should know of its hub's clock; null where it is not ahead of the reader's. */
export function clockAhead(log_ms: number, now_ms: number): string | null {
  const ahead_ms = log_ms - now_ms;
  if (ahead_ms <= CLOCK_TOLERANCE_MS) return null;
  return `the hub's clock is ${formatDuration(ahead_ms)} ahead of yours: one of the two is wrong, and times in its log are not those of your clock`;
}
