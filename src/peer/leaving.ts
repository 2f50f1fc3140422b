// How long a device still waits after its owner wants it back, so that an unreachable hub cannot hold it.
import { type Clock, systemClock, type Timer } from '../protocol/clock.ts';
import { PeerError } from '../protocol/peer-errors.ts';

/** Together less than the eight seconds after which `potluck demo` kills its children. */
export const LEAVING_LIMITS = {
  answer_ms: 4000, // for the hub's answer to a submission
  act_ms: 5500, // for the role's current work: the last steps, packing, sending
  goodbye_ms: 1500, // for the goodbye
} as const;

/** Waits for something, but once `leaving` fires only for a limited time. Throws PeerError `disconnected`, and the errors of the work. */
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

/** Waits for work; but if `leaving` fires while there is nothing to submit, `giveUp` is called instead. */
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
