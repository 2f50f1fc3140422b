// Holds on blobs: no blob is deleted while somebody puts it or lets an event name it, and nobody does that while it is being deleted.
import { assert } from '../errors.ts';
import { openTally } from './tally.ts';

export interface BlobHolds {
  /** Runs a step that puts blobs or lets an event name them: meanwhile none of them is deleted, nor being deleted. */
  holding<T>(hashes: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Deletes a blob by `remove`, unless somebody holds it; where somebody else deletes it just now, it waits for that. */
  remove(hash: string, remove: () => Promise<void>): Promise<void>;
}

export function openBlobHolds(): BlobHolds {
  const held = openTally();
  const leaving = new Map<string, Promise<void>>();
  return {
    async holding(hashes, work) {
      for (const hash of hashes) held.add(hash, 1);
      try {
        for (const hash of hashes) await leaving.get(hash)?.catch(() => {}); // the caller that deletes it sees the error
        for (const hash of hashes) assert(!leaving.has(hash), 'a blob that is held is not being deleted');
        return await work();
      } finally {
        for (const hash of hashes) held.add(hash, -1);
      }
    },
    async remove(hash, remove) {
      const gone = leaving.get(hash);
      if (gone) return gone;
      if (held.of(hash) > 0) return;
      const removed = remove().finally(() => leaving.delete(hash));
      leaving.set(hash, removed);
      await removed;
    },
  };
}
