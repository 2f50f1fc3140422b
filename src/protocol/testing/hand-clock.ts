// A clock for tests: time stands still until the test moves it.
import { type Clock, sleep } from '../clock.ts';

export interface HandClock extends Clock {
  /** Time jumps, as for a process that was frozen: timers that have become due fire at once, late, and in order. */
  move(by_ms: number): void;
  /** Time passes from one timer to the next, whenever everybody waits, until a promise has settled. */
  run<T>(until: Promise<T>): Promise<T>;
  /** Time passes by this much. */
  pass(duration_ms: number): Promise<void>;
}

/** Waits until everything under way has come to rest; only for code that stays in memory. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

export function handClock(start_ms = 0): HandClock {
  let now_ms = start_ms;
  const timers = new Set<{ readonly at_ms: number; readonly run: () => void }>();
  const next = () => {
    const [first, ...others] = timers; // of two timers for the same time, the one that was set first
    return others.reduce((soonest, timer) => (timer.at_ms < soonest.at_ms ? timer : soonest), first);
  };
  const clock: HandClock = {
    now_ms: () => now_ms,
    elapsed_ms: () => now_ms,
    setTimeout(run, delay_ms) {
      const timer = { at_ms: now_ms + delay_ms, run };
      timers.add(timer);
      return timer;
    },
    clearTimeout: (timer) => void timers.delete(timer as never),
    move(by_ms) {
      now_ms += by_ms;
      for (let due = next(); due && due.at_ms <= now_ms; due = next()) {
        timers.delete(due);
        due.run();
      }
    },
    async run(until) {
      let over = false;
      const settled = until.finally(() => {
        over = true;
      });
      settled.catch(() => {}); // the caller handles the error
      for (;;) {
        await settle();
        const due = next();
        if (over || !due) return settled;
        timers.delete(due);
        now_ms = Math.max(now_ms, due.at_ms);
        due.run();
      }
    },
    pass: (duration_ms) => clock.run(sleep(clock, duration_ms)),
  };
  return clock;
}
