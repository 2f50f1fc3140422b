// Where the blobs are that a hub's log names: in its folder or in a bucket, opened by each thread of the hub by itself.
import { join } from 'node:path';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import { openS3BlobStore } from '../ledger/s3/blob-store.ts';
import { openS3, type S3Options } from '../ledger/s3/client.ts';

/** A bucket, as plain data that another thread can be given. */
export type S3Place = Pick<S3Options, 'url' | 'region' | 'access_key_id' | 'secret_access_key' | 'session_token'>;

/** Where blobs are that the log names, for whoever opens them by itself. */
export interface NamedPlace {
  /** The hub's folder. */
  readonly folder: string;
  /** null: in the folder. */
  readonly s3: S3Place | null;
}

/**
 * The blobs that the log names. Throws LedgerError, S3Error `s3-bad-address`.
 * @param who which part of this process opens them: each stages what it writes in a folder of its own
 */
export async function openNamedBlobs(
  { folder, s3 }: NamedPlace,
  who: 'hub' | 'states',
): Promise<{ readonly blobs: BlobStore; close(): void }> {
  if (s3 === null) {
    const blobs = await openFolderBlobStore(join(folder, 'blobs'), { gathers_small: who === 'hub' });
    return { blobs, close: blobs.close };
  }
  const blobs = await openS3BlobStore(openS3(s3), { staging: join(folder, `staging-${who}`) });
  return { blobs, close: () => {} };
}
