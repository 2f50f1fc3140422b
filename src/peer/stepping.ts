// The device as a worker hands it to its game: every step is heard of, and no rest after one outlasts the round.
import type { Device } from '../games/game.ts';
import { type Clock, fired } from '../protocol/clock.ts';

export type StepReport = Parameters<Device['progress']>[0];

export interface Stepping {
  /** One device for all rounds: games keep what they have loaded with it. */
  readonly device: Device;
  /** A round begins: `onStep` hears its steps, and rests end when `signal` fires. */
  begin(signal: AbortSignal, onStep: (report: StepReport) => void): void;
  /** When the round's last step, or the rest after it, was over; 0 before. By the clock's elapsed time. */
  finished_ms(): number;
}

export function openStepping(owned: Device, clock: Clock): Stepping {
  let stopped: Promise<void> = Promise.resolve();
  let finished_ms = 0;
  let listener = (_: StepReport): void => {};
  return {
    device: {
      ...owned,
      async progress(report) {
        listener(report);
        await Promise.race([owned.progress(report), stopped]);
        finished_ms = clock.elapsed_ms();
      },
    },
    begin(signal, onStep) {
      stopped = fired(signal);
      finished_ms = 0;
      listener = onStep;
    },
    finished_ms: () => finished_ms,
  };
}
