// What no promise can do: a game from a file that loops without ever giving way is ended, with the process that it holds up.
// A thread beside it looks whether the event loop still turns while a part of the game is at work (as a hardware watchdog does).
import { Worker } from 'node:worker_threads';

/**
 * How long a game may hold up everything else. A peer whose connection is gone counts as away after seconds, so nobody waits this
 * long for a process that does not answer; a merge or a check in one piece that takes some seconds is not ended.
 */
export const BLOCKED_MS = 30_000;
/** How often the thread looks, at most; the event loop beats twice as often. */
const LOOK_MS = 500;
const LEAST_LOOKS = 4;

/** The parts of a game, by their place in the shared memory. */
export const PARTS = [
  ...['loading', 'first', 'task', 'prepare', 'perform', 'check', 'evaluate', 'sample', 'merge'],
  ...['encodeState', 'decodeState', 'checkForm', 'goesOn', 'sizes'],
] as const;

/** Told when a part of a game begins and when it has ended. */
export interface Watch {
  begins(part: string): void;
  ends(part: string): void;
}

/** What the thread gets: `shared` has the beats of the event loop, then how many calls of each part are under way. */
export interface Watched {
  readonly game: string;
  readonly shared: Int32Array;
  readonly look_ms: number;
  readonly blocked_ms: number;
}

/**
 * Watches a game for as long as the process lives, without keeping it alive. A part that blocks the event loop for `blocked_ms`
 * ends the process: one line on stderr, then SIGKILL, since the thread that loops hears nothing. Parts that compute elsewhere
 * while the event loop turns may take as long as they want.
 */
export function watchGame(game: string, blocked_ms = BLOCKED_MS): Watch {
  const shared = new Int32Array(new SharedArrayBuffer(4 * (1 + PARTS.length)));
  const look_ms = Math.min(LOOK_MS, blocked_ms / LEAST_LOOKS);
  const watched: Watched = { game, shared, look_ms, blocked_ms };
  new Worker(new URL('./watchdog-thread.ts', import.meta.url), { workerData: watched }).unref();
  setInterval(() => Atomics.add(shared, 0, 1), look_ms / 2).unref();
  const count = (part: string, change: number): void => {
    const place = PARTS.indexOf(part as (typeof PARTS)[number]);
    if (place >= 0) Atomics.add(shared, 1 + place, change);
  };
  return { begins: (part) => count(part, 1), ends: (part) => count(part, -1) };
}
