// A drawer for a worker's game whose writes do not wait for the disk, so that a round does not either. What a crash loses is computed again.
import type { Drawer } from '../games/drawer.ts';

export interface WriteBehind {
  /** What is put can be read at once in this process; `put` and `delete` do not wait until it is durable. */
  readonly drawer: Drawer;
  /** Resolves when everything put so far is in the underlying drawer. */
  written(): Promise<void>;
}

export function writeBehind(behind: Drawer): WriteBehind {
  /** Pending writes, the newest of each name; null: deleted. */
  const newest = new Map<string, { readonly bytes: Uint8Array | null }>();
  const underWay = new Set<Promise<void>>();
  const change = (name: string, bytes: Uint8Array | null): void => {
    const entry = { bytes };
    newest.set(name, entry);
    const writing = (bytes ? behind.put(name, bytes) : behind.delete(name)).then(() => {
      underWay.delete(writing);
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
      put: async (name, bytes) => change(name, bytes),
      delete: async (name) => change(name, null),
    },
    written: async () => void (await Promise.all(underWay)),
  };
}
