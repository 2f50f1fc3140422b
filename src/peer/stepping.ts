// The device that a worker passes to its game: every step is reported, and no rest after a step outlasts the round.
import type { Device } from '../games/game.ts';
import { type Clock, fired } from '../protocol/clock.ts';

export type StepReport = Parameters<Device['progress']>[0];

export interface Stepping {
  /** One device for all rounds, because games cache what they have loaded by it. */
  readonly device: Device;
  /** A round begins: `onStep` is called with its steps, and rests end when `signal` fires. */
  begin(signal: AbortSignal, onStep: (report: StepReport) => void): void;
  /** When the round's last step, or the rest after it, ended; 0 before the first. By the clock's elapsed time. */
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
