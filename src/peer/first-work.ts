// The first work of a device in a run is a short one: its owner soon sees that it counts, and its judges, who repeat it all, are soon done.
import type { Device } from '../games/game.ts';
import type { Clock } from '../protocol/clock.ts';

/** From the end of the first step on; a first step loads and compiles, however fast the device is. */
export const FIRST_WORK_MS = 1000;

const KEPT = 'handed-in';

export interface FirstWork {
  /** Called after each step of a round; true when it has been long enough. */
  enough(steps: number): boolean;
  /** The hub has taken something. */
  handedIn(): Promise<void>;
}

/** By a drawer of this run, so that a device that comes back is no newcomer. */
export async function watchFirstWork({ drawer }: Pick<Device, 'drawer'>, clock: Clock): Promise<FirstWork> {
  let first = (await drawer.get(KEPT)) === null;
  let since_ms = clock.elapsed_ms();
  return {
    enough(steps) {
      if (steps <= 1) since_ms = clock.elapsed_ms();
      return first && clock.elapsed_ms() - since_ms >= FIRST_WORK_MS;
    },
    async handedIn() {
      if (!first) return;
      first = false;
      await drawer.put(KEPT, Uint8Array.of(1));
    },
  };
}
