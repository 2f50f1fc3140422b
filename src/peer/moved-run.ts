// A device follows its run from hub to hub: where a log has let the run go, it goes on there without anybody's doing.
import { type Clock, fired, sleep } from '../protocol/clock.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { PeerError, type PeerErrorCode } from '../protocol/peer-errors.ts';
import { findRun } from './find-run.ts';
import { mayGoTo } from './fronts.ts';
import type { PeerNews } from './role.ts';

const COMING: readonly PeerErrorCode[] = ['no-such-run', 'hub-unreachable'];

export const MOVED_RUN_LIMITS = {
  hops: 16, // from one hub to the next: a run that goes round in circles is left
  look_ms: 2000, // before a hub is asked again for a run that is on its way to it; doubled each time
  longest_look_ms: 30_000,
} as const;

/** A run at a hub. */
export interface RunAt {
  readonly url: string;
  readonly hub: string;
  readonly view: RunStatus;
}

export interface FollowOptions {
  readonly url: string;
  /** The run's id or the beginning of it, or its name. */
  readonly run: string | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onNews?: (news: PeerNews) => void;
  /** Asks a hub for the run; by default `findRun`. */
  readonly find?: typeof findRun;
}

/**
 * Takes part in a run wherever it is, until it is finished there or the device's owner wants it back.
 * Throws what `takePart` and `findRun` throw; PeerError `elsewhere` for a hub to which this device does not go by itself.
 */
export async function followRun(
  options: FollowOptions,
  takePart: (at: RunAt) => Promise<'finished' | 'left'>,
): Promise<'finished' | 'left'> {
  const { find = findRun, onNews } = options;
  let at: RunAt = { url: options.url, ...(await find(options.url, options.run)) };
  for (let hops = 0; ; hops++) {
    if (!at.view.moved) {
      const end = await takePart(at);
      if (end === 'left') return end;
      // A run that its log lets go looks finished there.
      const after = await find(at.url, at.view.run).catch(() => null);
      if (!after?.view.moved) return end;
      at = { ...at, view: after.view };
    }
    const { hub, url } = nextHub(at.url, { run: at.view.run, ...at.view.moved! }, hops);
    onNews?.({ type: 'moved', run: at.view.run, url, hub });
    const next = await untilThere(options, at.view.run, url, hub);
    if (next === null) return 'left';
    at = next;
  }
}

/** Where a hub sends whoever looks for a run. Throws PeerError `elsewhere` where this device does not go by itself, or has gone too often. */
export function nextHub(
  from: string,
  { run, hub, url }: { readonly run: string; readonly hub: string; readonly url: string },
  hops: number,
): { readonly hub: string; readonly url: string } {
  if (hops < MOVED_RUN_LIMITS.hops && mayGoTo(url, from)) return { hub, url };
  const why = `run ${run} is at the hub ${hub} at ${url}, where this device does not go by itself: join it there`;
  throw new PeerError('elsewhere', why, { url, hub });
}

/** The run at the hub to which it goes; null where the owner wants the device back first. Throws PeerError `other-hub`. */
async function untilThere(options: FollowOptions, run: string, url: string, hub: string): Promise<RunAt | null> {
  const { find = findRun, clock, signal } = options;
  for (let wait_ms: number = MOVED_RUN_LIMITS.look_ms; !signal.aborted; wait_ms *= 2) {
    try {
      const found = await find(url, run);
      if (found.hub !== hub)
        throw new PeerError('other-hub', `expected the hub ${hub} at ${url}, got ${found.hub}`, { url });
      return { url, ...found };
    } catch (error) {
      // Whoever brings it may still be on the way, and so may the hub.
      const comes = error instanceof PeerError && COMING.includes(error.code);
      if (!comes) throw error;
    }
    await Promise.race([sleep(clock, Math.min(wait_ms, MOVED_RUN_LIMITS.longest_look_ms)), fired(signal)]);
  }
  return null;
}
