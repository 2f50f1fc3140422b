// A drawer for a worker's game: its round does not wait for a disk, and what a crash takes with it is begun afresh.
import type { Drawer } from '../games/drawer.ts';

export interface WriteBehind {
  /** What is put is there at once, for this process; `put` and `delete` do not wait until it is durable. */
  readonly drawer: Drawer;
  /** Resolves when everything that was put so far is in the drawer behind. */
  written(): Promise<void>;
}

export function writeBehind(behind: Drawer): WriteBehind {
  /** What is on its way, the newest of each name; null: deleted. */
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
