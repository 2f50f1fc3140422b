// The clock of a hub's machine: the system's, with the time since the machine was started, by which a hub knows that the machine has slept.
import { uptime } from 'node:os';
import { type Clock, systemClock } from '../protocol/clock.ts';

/** Far below what counts as sleep (log-clock.ts). Asking the system for each event costs a tenth of what the event does. */
const ASK_EVERY_MS = 100;

/** @param ask_ms the machine's uptime; it is asked again when so much of `elapsed_ms` has passed */
export function machineClock(
  ask_ms: () => number = () => uptime() * 1000,
  elapsed_ms: () => number = systemClock.elapsed_ms,
): Clock {
  let uptime_ms = 0;
  let asked_ms = Number.NEGATIVE_INFINITY;
  return {
    ...systemClock,
    elapsed_ms,
    uptime_ms() {
      const now_ms = elapsed_ms();
      if (now_ms - asked_ms >= ASK_EVERY_MS) {
        uptime_ms = ask_ms();
        asked_ms = now_ms;
      }
      // What has passed since: otherwise uptime would seem to lag behind, and a real sleep of that length would be missed.
      return uptime_ms + (now_ms - asked_ms);
    },
  };
}
