// A drawer for a worker's game whose writes do not wait for the disk, so that a round does not either. What a crash loses is computed again.
import type { Drawer } from '../games/drawer.ts';

export interface WriteBehind {
  /** What is put can be read at once in this process; `put` and `delete` do not wait until it is durable, unless much waits already. */
  readonly drawer: Drawer;
  /** Resolves when everything put so far is in the underlying drawer. */
  written(): Promise<void>;
}

/** What waits for the disk is memory: with more of it, `put` waits as well. One part of a state, beside the one that is being put. */
const MOST_WAITING_BYTES = 16 << 20;

export function writeBehind(behind: Drawer): WriteBehind {
  /** Pending writes, the newest of each name; null: deleted. */
  const newest = new Map<string, { readonly bytes: Uint8Array | null }>();
  const underWay = new Set<Promise<void>>();
  let waiting_bytes = 0;
  const change = (name: string, bytes: Uint8Array | null): void => {
    const entry = { bytes };
    newest.set(name, entry);
    const size_bytes = bytes?.length ?? 0;
    waiting_bytes += size_bytes;
    const writing = (bytes ? behind.put(name, bytes) : behind.delete(name)).then(() => {
      underWay.delete(writing);
      waiting_bytes -= size_bytes;
      if (newest.get(name) === entry) newest.delete(name);
    });
    underWay.add(writing);
  };
  return {
    drawer: {
      async get(name) {
        const entry = newest.get(name);
        return entry ? entry.bytes : behind.get(name);
      },
      async put(name, bytes) {
        change(name, bytes);
        while (waiting_bytes > MOST_WAITING_BYTES) await Promise.race(underWay);
      },
      delete: async (name) => change(name, null),
    },
    written: async () => void (await Promise.all(underWay)),
  };
}
