// What a device keeps for itself between the rounds of a run: a few named pieces of bytes. One contract for every implementation
// (testing/drawer-compliance.ts), because verdicts are sealed on it: what was told to others must still be known after a power cut.

/**
 * Names are plain words. What `put` and `delete` have resolved survives the end of the process and of the machine's power; a call that
 * was cut short has happened wholly or not at all. Calls take effect in the order in which they were made. What cannot be written
 * costs no round: it is kept for as long as the process lives, and whoever opened the drawer hears of it. Arrays that are given or
 * got are not changed afterwards.
 */
export interface Drawer {
  /** null: nothing was put, or it is damaged. */
  get(name: string): Promise<Uint8Array | null>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Harmless where there is nothing. */
  delete(name: string): Promise<void>;
}

/** Where a drawer writes. */
export interface DrawerStorage {
  /** null where nothing is, or nothing that is whole. */
  read(name: string): Promise<Uint8Array | null>;
  /** Resolves when it is durable; rejects where it cannot be written. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** As `write`. */
  remove(name: string): Promise<void>;
}

/** A drawer over a storage that may fail. `onLost` hears why something cannot be written, once until something can be again. */
export function drawerOver(storage: DrawerStorage, onLost: (why: Error) => void): Drawer {
  /** What storage should have, and has not; null: nothing. */
  const unwritten = new Map<string, Uint8Array | null>();
  let told = false;
  let last: Promise<void> = Promise.resolve();
  const change = (name: string, bytes: Uint8Array | null): Promise<void> => {
    last = last.then(async () => {
      try {
        await (bytes ? storage.write(name, bytes) : storage.remove(name));
        unwritten.delete(name);
        told = false;
      } catch (error) {
        unwritten.set(name, bytes);
        if (bytes) await storage.remove(name).catch(() => {}); // what it would have replaced is not true any more
        if (!told) onLost(error as Error);
        told = true;
      }
    });
    return last;
  };
  return {
    async get(name) {
      const held = unwritten.get(name);
      return held === undefined ? storage.read(name) : held;
    },
    put: (name, bytes) => change(name, bytes),
    delete: (name) => change(name, null),
  };
}
