// A drawer: a small key-value store of one device and one run, for what it keeps between rounds. All implementations share one contract
// (testing/drawer-compliance.ts), because committed verdicts are stored in it: they must survive a power cut.

/**
 * Names are plain words. Once `put` or `delete` has resolved, its effect survives the end of the process and a power cut; an interrupted
 * call has taken effect completely or not at all. Calls take effect in the order in which they were made. A failed write costs no round:
 * the value is kept for as long as the process lives, and the opener of the drawer is told. Arrays that are passed in or returned must
 * not be changed afterwards.
 */
export interface Drawer {
  /** null: nothing was put, or it is damaged. */
  get(name: string): Promise<Uint8Array | null>;
  put(name: string, bytes: Uint8Array): Promise<void>;
  /** Does nothing where there is nothing. */
  delete(name: string): Promise<void>;
}

/** The storage of a drawer. */
export interface DrawerStorage {
  /** null where there is nothing, or it is damaged. */
  read(name: string): Promise<Uint8Array | null>;
  /** Resolves when it is durable; rejects where it cannot be written. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** As `write`. */
  remove(name: string): Promise<void>;
}

/** A drawer over a storage that may fail. `onLost` is called with the reason of a failure, once until a write succeeds again. */
export function drawerOver(storage: DrawerStorage, onLost: (why: Error) => void): Drawer {
  /** Values that the storage lacks because a write failed; null: a failed deletion. */
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
