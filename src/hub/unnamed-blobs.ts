// Blobs that were uploaded but that no event names yet: how much of them one identity may keep here, and that none is deleted while it is being named.
import { WIRE_LIMITS } from '../protocol/messages.ts';

/** What one identity may have uploaded without any accepted event naming it: a few models; more is hoarding. */
export const UNNAMED_BYTES = 2 * WIRE_LIMITS.blob_bytes;

export interface UnnamedBlobs {
  mayAdd(peer: string, size_bytes: number): boolean;
  add(peer: string, hash: string, size_bytes: number): void;
  /** What somebody has uploaded that nothing names yet. */
  of(peer: string): ReadonlySet<string>;
  /** An event names it, or a blob that one names, or it is gone. */
  named(hash: string): void;
  /** Does something that puts blobs or lets an event name them: none of them is deleted meanwhile, nor is one on its way out. */
  holding<T>(hashes: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Begins to note what is named, for whoever looks through the log for what is not. */
  watch(): { readonly named: ReadonlySet<string>; end(): void };
  /** Deletes a blob by `remove`, unless somebody holds it. */
  remove(hash: string, remove: () => Promise<void>): Promise<void>;
}

export function unnamedBlobs(): UnnamedBlobs {
  const uploads = new Map<string, { peer: string; size_bytes: number }>();
  const sums = new Map<string, number>();
  const held = new Map<string, number>();
  const leaving = new Map<string, Promise<void>>();
  const watchers = new Set<Set<string>>();

  const hold = (hash: string, change: 1 | -1): void => {
    const count = (held.get(hash) ?? 0) + change;
    if (count > 0) held.set(hash, count);
    else held.delete(hash);
  };

  return {
    mayAdd: (peer, size_bytes) => (sums.get(peer) ?? 0) + size_bytes <= UNNAMED_BYTES,
    add(peer, hash, size_bytes) {
      if (uploads.has(hash)) return;
      uploads.set(hash, { peer, size_bytes });
      sums.set(peer, (sums.get(peer) ?? 0) + size_bytes);
    },
    of: (peer) => new Set([...uploads].filter(([, upload]) => upload.peer === peer).map(([hash]) => hash)),
    named(hash) {
      for (const watcher of watchers) watcher.add(hash);
      const upload = uploads.get(hash);
      if (!upload) return;
      uploads.delete(hash);
      const left = (sums.get(upload.peer) ?? 0) - upload.size_bytes;
      if (left > 0) sums.set(upload.peer, left);
      else sums.delete(upload.peer);
    },
    async holding(hashes, work) {
      for (const hash of hashes) hold(hash, 1);
      try {
        for (const hash of hashes) await leaving.get(hash);
        return await work();
      } finally {
        for (const hash of hashes) hold(hash, -1);
      }
    },
    watch() {
      const named = new Set<string>();
      watchers.add(named);
      return { named, end: () => void watchers.delete(named) };
    },
    async remove(hash, remove) {
      if (held.has(hash)) return;
      const removed = remove().finally(() => leaving.delete(hash));
      leaving.set(hash, removed);
      await removed;
    },
  };
}
