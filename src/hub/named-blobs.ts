// Keeps account of blobs as events name them: a named blob is not an unnamed upload any more, and an unused one is deleted.
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openCompaction } from './compaction.ts';
import { namedThrough } from './sweep.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';

export interface NamedBlobsOptions {
  readonly state: NetworkState;
  readonly blobs: BlobStore;
  readonly unnamed: UnnamedBlobs;
  /** Whether this process leads: of several one deletes. */
  leads(): boolean;
  onError(error: unknown, where: string): void;
}

/** Call it with every event after it is durable. */
export function openNamedBlobs({
  state,
  blobs,
  unnamed,
  leads,
  onError,
}: NamedBlobsOptions): (event: LoggedEvent) => void {
  // Every process knows what is not needed any more, so that whoever leads next goes on.
  const deleted = async (hash: string): Promise<boolean> => leads() && (await blobs.delete(hash));
  const own = { get: blobs.get, sizeOf: blobs.sizeOf, delete: deleted };
  const compact = openCompaction(state, own, unnamed, (error) => onError(error, 'deleting a blob'));
  return (event) => {
    const { body, author } = event;
    for (const hash of blobsNamedBy(body)) unnamed.named(hash);
    compact(event);
    const roots = body.type === 'run.created' ? [body.params, body.model] : body.type === 'run.part' ? body.blobs : [];
    if (roots.length === 0) return;
    // No event names the pieces of a run's text and model directly; its settings and its manifests do.
    namedThrough(blobs, roots, unnamed.of(author))
      .then((hashes) => hashes.forEach((hash) => void unnamed.named(hash)))
      .catch((error) => onError(error, body.type));
  };
}
