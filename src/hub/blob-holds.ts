// Holds on blobs: no blob is deleted while somebody puts it or lets an event name it, and nobody does that while it is being deleted.
import { assert } from '../errors.ts';
import { openTally } from './tally.ts';

export interface BlobHolds {
  /** Runs a step that puts blobs or lets an event name them: meanwhile none of them is deleted, nor being deleted. */
  holding<T>(hashes: readonly string[], work: () => Promise<T>): Promise<T>;
  /** Deletes a blob by `remove`, unless somebody holds it; where somebody else deletes it just now, it waits for that. */
  remove(hash: string, remove: () => Promise<void>): Promise<void>;
  /** Whether `remove` was called for it lately, so that it may be gone although somebody has seen it. */
  wasRemoved(hash: string): boolean;
}

/** A sweep removes thousands; what another process has seen before is named within a minute. */
const REMOVED_KEPT = 65_536;

export function openBlobHolds(): BlobHolds {
  const held = openTally();
  const leaving = new Map<string, Promise<void>>();
  const removed = new Set<string>();
  const remember = (hash: string): void => {
    removed.delete(hash);
    removed.add(hash);
    if (removed.size > REMOVED_KEPT) for (const oldest of removed) return void removed.delete(oldest);
  };
  return {
    async holding(hashes, work) {
      for (const hash of hashes) held.add(hash, 1);
      try {
        for (const hash of hashes) {
          const gone = leaving.get(hash);
          // Else nothing waits, and steps begin in the order of their calls. The caller that deletes it sees the error.
          if (gone) await gone.catch(() => {});
        }
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
      remember(hash);
      const gone_soon = remove().finally(() => leaving.delete(hash));
      leaving.set(hash, gone_soon);
      await gone_soon;
    },
    wasRemoved: (hash) => removed.has(hash),
  };
}
