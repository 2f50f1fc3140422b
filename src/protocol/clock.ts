// Time as hub and peers know it: handed in, so that the simulator can run them on a clock of its own.

/** What `setTimeout` gives back; only good for `clearTimeout`. */
export type Timer = unknown;

export interface Clock {
  /** Milliseconds since 1970, as this machine believes; people and administrators move it. */
  now_ms(): number;
  /** Milliseconds since some moment; only ever forwards. For measuring how long something took. */
  elapsed_ms(): number;
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
