// The owner comes first: how much of the time a device may compute.
import type { Device } from '../games/game.ts';
import { type Clock, sleep, systemClock } from '../protocol/clock.ts';

/** Rest that is owed, and is paid by time in which the device does not work. */
export interface Rest {
  owe(time_ms: number): void;
  /** Resolves when all of it is paid. Whoever cannot wait so long goes on owing what is left. */
  paid(): Promise<void>;
}

export function openRest(clock: Clock): Rest {
  let until_ms = clock.elapsed_ms();
  return {
    owe(time_ms) {
      until_ms = Math.max(until_ms, clock.elapsed_ms()) + time_ms;
    },
    async paid() {
      // More may be owed meanwhile.
      for (let left_ms = until_ms - clock.elapsed_ms(); left_ms > 0; left_ms = until_ms - clock.elapsed_ms()) {
        await sleep(clock, left_ms);
      }
    },
  };
}

/**
 * Makes a device rest after each unit of work so that it computes only a part of the time: at 0.1, nine times as long as it worked. A
 * rest that is broken off, because a round ends, is owed: the next work begins when it is paid.
 */
export function dutyCycle(duty: number, clock: Clock = systemClock): Pick<Device, 'progress' | 'rested'> {
  if (duty >= 1) return { progress: async () => {} };
  const rest = openRest(clock);
  let resumed_ms = clock.elapsed_ms();
  const rested = async (): Promise<void> => {
    await rest.paid();
    resumed_ms = clock.elapsed_ms();
  };
  return {
    async progress() {
      rest.owe((clock.elapsed_ms() - resumed_ms) * (1 / duty - 1));
      resumed_ms = clock.elapsed_ms();
      await rested();
    },
    rested,
  };
}
