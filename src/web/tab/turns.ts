// Only one tab of a browser works at a time, because they share a key, and the hub keeps one connection per key.
import { sleep, systemClock } from '../../protocol/clock.ts';

/** The lock's and the channel's name. */
const NAME = 'potluck-contribution';
const LIMITS = {
  answer_ms: 300, // tabs of one browser answer each other within milliseconds, busy ones somewhat later
  ask_every_ms: 1000,
} as const;

/**
 * Does the work when no other tab works, and waits for the other's end where one does; `onElsewhere` is called then.
 * A tab's turn ends with the tab, however that ends. Resolves to null when `stop` fires before the turn has come.
 */
export function inTurn<T>(stop: AbortSignal, onElsewhere: () => void, work: () => Promise<T>): Promise<T | null> {
  // Without https a browser has no locks.
  return navigator.locks ? underLock(stop, onElsewhere, work) : byAsking(stop, onElsewhere, work);
}

async function underLock<T>(stop: AbortSignal, onElsewhere: () => void, work: () => Promise<T>): Promise<T | null> {
  if (!(await navigator.locks.request(NAME, { ifAvailable: true }, (lock) => lock !== null))) onElsewhere();
  try {
    return await navigator.locks.request(NAME, { signal: stop }, () => work());
  } catch (error) {
    if (stop.aborted && error instanceof DOMException && error.name === 'AbortError') return null;
    throw error;
  }
}

/** Two tabs that ask within the same third of a second may both begin; the hub then keeps the later one. */
async function byAsking<T>(stop: AbortSignal, onElsewhere: () => void, work: () => Promise<T>): Promise<T | null> {
  const channel = new BroadcastChannel(NAME);
  const somebodyElse = (): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), LIMITS.answer_ms);
      channel.onmessage = ({ data }) => {
        if (data !== 'here') return;
        clearTimeout(timer);
        resolve(true);
      };
      channel.postMessage('anybody?');
    });
  try {
    while (await somebodyElse()) {
      onElsewhere();
      await sleep(systemClock, LIMITS.ask_every_ms * (0.5 + Math.random()));
      if (stop.aborted) return null;
    }
    channel.onmessage = ({ data }) => {
      if (data === 'anybody?') channel.postMessage('here');
    };
    return await work();
  } finally {
    channel.close();
  }
}
