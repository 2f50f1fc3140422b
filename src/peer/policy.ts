// The owner's limit on how much of the time a device may compute.
import type { Device } from '../games/game.ts';
import { type Clock, sleep, systemClock } from '../protocol/clock.ts';

/** Rest that is owed; time in which the device does not work pays it. */
export interface Rest {
  owe(time_ms: number): void;
  /** Resolves when all of it is paid. A caller that cannot wait so long still owes the rest of it. */
  paid(): Promise<void>;
}

/** A longer one was no late timer: the machine slept, or the device stood still. */
const MOST_SPARE_MS = 200;

export function openRest(clock: Clock): Rest {
  let until_ms = clock.elapsed_ms();
  /** Rest that was longer than was owed, because a timer came late: it pays a part of the next. */
  let spare_ms = 0;
  return {
    owe(time_ms) {
      until_ms = Math.max(until_ms, clock.elapsed_ms()) + Math.max(0, time_ms - spare_ms);
      spare_ms = Math.max(0, spare_ms - time_ms);
    },
    async paid() {
      // More may be owed meanwhile.
      for (let left_ms = until_ms - clock.elapsed_ms(); left_ms > 0; left_ms = until_ms - clock.elapsed_ms()) {
        await sleep(clock, left_ms);
        spare_ms = Math.min(MOST_SPARE_MS, Math.max(0, clock.elapsed_ms() - until_ms));
      }
    },
  };
}

/** What holds a device back between units of work, and is changed while it works. */
export interface Throttle extends Required<Pick<Device, 'progress' | 'rested' | 'away_ms'>> {
  /** From now on it may compute this part of the time, above 0 up to 1. Ends a halt. */
  go(duty: number): void;
  /** No unit of work begins until `go`. What is under way is not ended here: whoever must have it ended stops the process. */
  halt(): void;
}

/**
 * Makes a device rest after each unit of work so that it computes only a part of the time: at 0.1, nine times as long as it worked. A
 * rest that is broken off, because a round ends, is owed: the next work begins when it is paid. Time in a halt is neither work nor owed.
 */
export function openThrottle(duty: number, clock: Clock = systemClock): Throttle {
  const rest = openRest(clock);
  let part = duty;
  let halts_ms = 0;
  let halted: { readonly since_ms: number; readonly over: Promise<void>; readonly end: () => void } | null = null;
  const away_ms = (): number => halts_ms + (halted ? clock.elapsed_ms() - halted.since_ms : 0);
  const awake_ms = (): number => clock.elapsed_ms() - away_ms();
  let resumed_ms = awake_ms();
  const rested = async (): Promise<void> => {
    do {
      await halted?.over;
      await rest.paid();
    } while (halted);
    resumed_ms = awake_ms();
  };
  return {
    async progress() {
      rest.owe((awake_ms() - resumed_ms) * (1 / part - 1));
      resumed_ms = awake_ms();
      await rested();
    },
    rested,
    away_ms,
    go(now) {
      part = now;
      halts_ms = away_ms();
      halted?.end();
      halted = null;
    },
    halt() {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      halted ??= { since_ms: clock.elapsed_ms(), over, end };
    },
  };
}
