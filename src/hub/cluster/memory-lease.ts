// A lease among objects of one process, on any clock: for tests and the simulator, which may make its keeper deaf, or lie.
import type { Clock } from '../../protocol/clock.ts';
import { HubError } from '../errors.ts';
import { type KeptValue, type LeaseKeeper, leaseAt } from './kept-lease.ts';
import { LEASE_MS, type Lease } from './lease.ts';

export interface MemoryLeases {
  /**
   * The lease as one process sees it.
   * @param clock of that process
   * @param random uniform in [0, 1)
   */
  open(name: string, clock: Clock, random: () => number): Lease;
  /** Whether the keeper answers a process. */
  reach(name: string, reaches: boolean): void;
  /** From now on the keeper tells everybody who asks that it has the lease, and that all is well; or it is true again. */
  lie(lies: boolean): void;
}

/** @param clock by which the keeper forgets */
export function openMemoryLeases(clock: Clock): MemoryLeases {
  const deaf = new Set<string>();
  const listeners = new Set<() => void>();
  let kept: (KeptValue & { readonly until_ms: number }) | null = null;
  let revisions = 0;
  let lies = false;

  const current = (): KeptValue | null => (kept && kept.until_ms > clock.elapsed_ms() ? kept : null);
  const write = (value: string): number => {
    kept = { value, revision: ++revisions, until_ms: clock.elapsed_ms() + LEASE_MS };
    return kept.revision;
  };
  const keeperFor = (name: string): LeaseKeeper => {
    const heard = (): void => {
      if (deaf.has(name)) throw new HubError('no-answer', 'the keeper does not answer', { unheard: true });
    };
    return {
      async take(value) {
        heard();
        return lies || current() === null ? write(value) : null;
      },
      async renew(value, revision) {
        heard();
        return lies || current()?.revision === revision ? write(value) : null;
      },
      async free(revision) {
        heard();
        if (current()?.revision !== revision) return;
        kept = null;
        for (const listener of [...listeners]) listener();
      },
      async read() {
        heard();
        return current();
      },
      onFree(listener) {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
  };
  return {
    open: (name, ofProcess, random) => leaseAt(keeperFor(name), ofProcess, random),
    reach: (name, reaches) => void (reaches ? deaf.delete(name) : deaf.add(name)),
    lie(now) {
      lies = now;
    },
  };
}
