// How long a device that its owner wants back still waits for anything: a hub that is away must not hold it.
import { type Clock, systemClock, type Timer } from '../protocol/clock.ts';
import { PeerError } from '../protocol/peer-errors.ts';

/** Together below the eight seconds after which `potluck demo` ends its children by force. */
export const LEAVING_LIMITS = {
  answer_ms: 4000, // for the hub's answer to what was handed in
  act_ms: 5500, // for whatever the role is at: the last steps, packing, sending
  goodbye_ms: 1500, // for the goodbye
} as const;

/** Waits for something; once `leaving` fires, only so long. Throws PeerError disconnected, and what the work throws. */
export async function untilLeft<T>(
  work: Promise<T>,
  leaving: AbortSignal,
  limit_ms: number,
  clock: Clock = systemClock,
): Promise<T> {
  let timer: Timer;
  let leave = () => {};
  const late = new Promise<never>((_, reject) => {
    const message = `not done ${limit_ms} ms after this device was wanted back`;
    leave = () => {
      timer = clock.setTimeout(() => reject(new PeerError('disconnected', message)), limit_ms);
    };
  });
  if (leaving.aborted) leave();
  else leaving.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, late]);
  } finally {
    clock.clearTimeout(timer);
    leaving.removeEventListener('abort', leave);
  }
}

/** Waits for work, but not beyond the moment in which `leaving` fires while there is nothing to hand in: then `giveUp` is called instead. */
export async function unlessEmptyHanded(
  work: Promise<void>,
  leaving: AbortSignal,
  isEmptyHanded: () => boolean,
  giveUp: () => void,
): Promise<void> {
  let leave = () => {};
  const left = new Promise<void>((resolve) => {
    leave = () => {
      if (!isEmptyHanded()) return;
      giveUp();
      resolve();
    };
  });
  if (leaving.aborted) leave();
  else leaving.addEventListener('abort', leave, { once: true });
  try {
    await Promise.race([work, left]);
  } finally {
    leaving.removeEventListener('abort', leave);
  }
}
