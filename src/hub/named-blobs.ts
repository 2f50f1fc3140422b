// Keeps account of blobs as events name them: a named blob is not an unnamed upload any more, and an unused one is deleted.
import { blobsNamedBy, type LoggedEvent } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openCompaction } from './compaction.ts';
import { namedThrough } from './sweep.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';

/** Call it with every event after it is durable. */
export function openNamedBlobs(
  state: NetworkState,
  blobs: BlobStore,
  unnamed: UnnamedBlobs,
  onError: (error: unknown, where: string) => void,
): (event: LoggedEvent) => void {
  const compact = openCompaction(state, blobs, unnamed, (error) => onError(error, 'deleting a blob'));
  return (event) => {
    const { body, author } = event;
    for (const hash of blobsNamedBy(body)) unnamed.named(hash);
    compact(event);
    if (body.type !== 'run.created') return;
    // No event names the pieces of a run's text and model directly; its settings and its manifest do.
    namedThrough(blobs, [body.params, body.model], unnamed.of(author))
      .then((hashes) => hashes.forEach((hash) => void unnamed.named(hash)))
      .catch((error) => onError(error, 'run.created'));
  };
}
