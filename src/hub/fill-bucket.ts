// The log and the blobs of a hub in a folder move into a bucket that has nothing of them, or was being filled when that broke off.
import { join } from 'node:path';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { moveIntoJournal } from '../ledger/into-journal.ts';
import { isCopy } from '../ledger/local-log.ts';
import { openS3BlobStore } from '../ledger/s3/blob-store.ts';
import { checkBucket } from '../ledger/s3/check-bucket.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { openSqliteLocalLog } from '../ledger/sqlite-log-store.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import type { S3Place } from './named-place.ts';
import { journalIn, ownerOf } from './stores.ts';

export interface Filled {
  /** What the log has. */
  readonly entries: number;
  /** Blobs that the bucket has got, and that it had. */
  readonly blobs: number;
  readonly known_blobs: number;
  readonly size_bytes: number;
}

/** Blobs on their way at a time: a store is slow to answer, and each waits in a file. */
const AT_A_TIME = 8;

/**
 * Fills a bucket from the folder of a hub that does not run. Blobs go first: no event is in the bucket before what it names. The folder's log is
 * a copy of the bucket's at the end, and cannot be written without it any more; until then, it is what it was, and the next call goes on.
 * Resolves to null where the folder is the bucket's copy already. Throws LedgerError `log-locked` while the hub runs, `log-rewritten` where the
 * bucket has another log, HubError `bad-folder` for another hub's bucket, S3Error.
 * @param onProgress hears what has been done so far
 */
export async function fillBucket(
  folder: string,
  place: S3Place,
  onProgress: (done: Filled) => void = () => {},
): Promise<Filled | null> {
  const s3 = openS3(place);
  const local = openSqliteLocalLog(join(folder, 'hub.sqlite'));
  try {
    if (isCopy(local)) return null;
    await checkBucket(s3);
    const { id } = await loadOrCreateIdentity(join(folder, 'hub.key'));
    await ownerOf(s3, id);
    const to = await openS3BlobStore(s3, { staging: join(folder, 'staging-hub') });
    const from = await openFolderBlobStore(join(folder, 'blobs'), { gathers_small: true });
    const done = { entries: 0, blobs: 0, known_blobs: 0, size_bytes: 0 };
    try {
      await copyBlobs(from, to, (size_bytes) => {
        if (size_bytes === null) done.known_blobs++;
        else done.blobs++;
        done.size_bytes += size_bytes ?? 0;
        onProgress(done);
      });
    } finally {
      from.close();
    }
    await moveIntoJournal(local, journalIn(s3), (entries) => {
      done.entries = entries;
      onProgress(done);
    });
    return done;
  } finally {
    local.close();
  }
}

/** @param onBlob hears of each how large it is, and null for one that was there */
async function copyBlobs(from: BlobStore, to: BlobStore, onBlob: (size_bytes: number | null) => void): Promise<void> {
  const there = new Set<string>();
  for await (const hash of to.list()) there.add(hash);
  const left = from.list()[Symbol.asyncIterator]();
  let failed = false;
  const copySome = async (): Promise<void> => {
    for (let next = await left.next(); !next.done && !failed; next = await left.next()) {
      onBlob(there.has(next.value) ? null : await copyBlob(from, to, next.value));
    }
  };
  const all = Array.from({ length: AT_A_TIME }, () =>
    copySome().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  await Promise.allSettled(all); // nothing is on its way any more when this is over
  await Promise.all(all);
}

/** @returns its size; 0 for a blob that has been deleted meanwhile */
async function copyBlob(from: BlobStore, to: BlobStore, hash: string): Promise<number> {
  const pieces = await from.stream(hash);
  if (!pieces) return 0;
  const draft = to.draft();
  try {
    for await (const piece of pieces) await draft.write(piece);
    await draft.keep();
    return draft.size_bytes;
  } finally {
    await draft.discard();
  }
}
