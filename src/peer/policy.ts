// The owner comes first: how much of the time a device may compute.
import type { Device } from '../games/game.ts';
import { type Clock, sleep, systemClock } from '../protocol/clock.ts';

/** No single pause is longer than this, so that a device that is told to stop does so soon. */
const LONGEST_PAUSE_MS = 5000;

/**
 * Makes a device rest after each unit of work so that it computes only a part of the time: at 0.1, nine times as long as it worked.
 * Give the result as a device's `progress`.
 */
export function dutyCycle(duty: number, clock: Clock = systemClock): Device['progress'] {
  if (duty >= 1) return async () => {};
  let resumed_ms = clock.elapsed_ms();
  return async () => {
    const worked_ms = clock.elapsed_ms() - resumed_ms;
    await sleep(clock, Math.min(LONGEST_PAUSE_MS, worked_ms * (1 / duty - 1)));
    resumed_ms = clock.elapsed_ms();
  };
}
