// A device's first work in a run is short, so that its owner soon sees it count, and its judges, who repeat all of it, are soon done.
import type { Device } from '../games/game.ts';
import type { Clock } from '../protocol/clock.ts';

/** Counted from the end of the first piece, because that one loads and compiles, on any device. */
export const FIRST_WORK_MS = 1000;

const KEPT = 'handed-in';

export interface FirstWork {
  /** Called after each piece of a round, with their count; true when the work is long enough. */
  enough(pieces: number): boolean;
  /** The hub has accepted a submission. */
  handedIn(): Promise<void>;
}

/** Remembered in a drawer of this run, so that a device that comes back is not a newcomer. */
export async function watchFirstWork({ drawer }: Pick<Device, 'drawer'>, clock: Clock): Promise<FirstWork> {
  let first = (await drawer.get(KEPT)) === null;
  let since_ms = clock.elapsed_ms();
  return {
    enough(pieces) {
      if (pieces <= 1) since_ms = clock.elapsed_ms();
      return first && clock.elapsed_ms() - since_ms >= FIRST_WORK_MS;
    },
    async handedIn() {
      if (!first) return;
      first = false;
      await drawer.put(KEPT, Uint8Array.of(1));
    },
  };
}
