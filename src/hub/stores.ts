// What a hub keeps, and where: its log and its blobs on this machine's disk, or in an S3 bucket with this machine's disk as a copy.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore } from '../ledger/blob-store.ts';
import { openFolderBlobStore } from '../ledger/folder-blob-store.ts';
import type { Journal } from '../ledger/journal.ts';
import { isCopy, type LocalLog } from '../ledger/local-log.ts';
import type { LogStore } from '../ledger/log-store.ts';
import { openObjectJournal } from '../ledger/object-journal.ts';
import { type FollowedLog, openFollowedLog } from '../ledger/replica.ts';
import { type BucketCheck, checkBucket } from '../ledger/s3/check-bucket.ts';
import { openS3, type S3 } from '../ledger/s3/client.ts';
import { s3Objects } from '../ledger/s3/objects.ts';
import { openSqliteLocalLog, openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { sleep, systemClock } from '../protocol/clock.ts';
import { utf8 } from '../protocol/hash.ts';
import { HubError } from './errors.ts';
import { type NamedPlace, openNamedBlobs } from './named-place.ts';
import { openStateHost, type StateHost } from './state-host.ts';

export interface HubStores {
  readonly log: LogStore;
  /** The blobs that the log names. */
  readonly blobs: BlobStore;
  /** The newest states of runs, which can be computed again: it starts empty. */
  readonly present: BlobStore;
  /** The thread that merges, on the same stores. */
  readonly states: StateHost;
  /** null: everything is in the folder. */
  readonly bucket: { readonly s3: S3; readonly check: BucketCheck } | null;
  /** Releases all but the log, which its user closes. */
  close(): void;
}

/** Opens a hub's stores, with `log` as openHubLog has opened it. Throws LedgerError. */
export async function openHubStores(place: NamedPlace, log: HubLog): Promise<HubStores> {
  const folder = join(place.folder, 'present');
  const named = await openNamedBlobs(place, 'hub');
  await rm(folder, { recursive: true, force: true });
  const present = await openFolderBlobStore(folder);
  const states = openStateHost({ named: place, present: folder });
  return {
    ...{ log: log.store, bucket: log.bucket, blobs: named.blobs, present, states },
    close() {
      states.close();
      named.close();
      present.close();
    },
  };
}

export interface HubLog {
  readonly store: LogStore;
  /** The same, where it is a journal's and may be another process that writes it. */
  readonly followed: FollowedLog | null;
  /** The hub whose log it is; null where this process has no key, and there is no bucket. */
  readonly hub: string | null;
  readonly bucket: HubStores['bucket'];
}

/**
 * Opens a hub's log. With a bucket, hub.sqlite is a copy of its journal, and is brought up to date first: an empty folder gets all of it. It
 * then follows, until it is told to lead. Throws LedgerError, S3Error where the bucket cannot be used, and HubError `bad-folder` where it is
 * another hub's.
 * @param who the id of the key that this process has, null for none; and whether it is the hub's only one
 */
export async function openHubLog(
  { folder, s3: place }: NamedPlace,
  { own, alone }: { readonly own: string | null; readonly alone: boolean },
): Promise<HubLog> {
  const path = join(folder, 'hub.sqlite');
  if (place === null) return { store: openSqliteLogStore(path), followed: null, bucket: null, hub: own };
  const s3 = openS3(place);
  const check = await checkBucket(s3);
  const hub = await ownerOf(s3, own);
  const local = openSqliteLocalLog(path, 'copy');
  try {
    mustBeCopy(local, s3.where);
    const followed = await openFollowedLog(local, journalIn(s3, alone ? ALONE_PATIENCE_MS : undefined));
    return { store: followed, followed, bucket: { s3, check }, hub };
  } catch (error) {
    local.close();
    throw error;
  }
}

/** Throws HubError `bad-folder` for a log that was never in a bucket. */
function mustBeCopy(local: LocalLog, where: string): void {
  if (local.end.first === 0 || isCopy(local)) return;
  const message = `the log in this folder, ${local.end.first} entries, is in no bucket: --fill-bucket moves it, and its blobs, to ${where} first`;
  throw new HubError('bad-folder', message);
}

/** Whose bucket it is; the log itself names its hub only once that has written something. */
const OWNER = 'hub-id';
/** A process without the key starts with the others, and waits so long for the first that has it. */
const OWNER_WAIT_MS = 60_000;
const OWNER_LOOK_MS = 500;

/** The hub whose bucket it is: the first that uses it makes it its own. Throws HubError `bad-folder`, S3Error. */
export async function ownerOf(s3: S3, own: string | null): Promise<string> {
  const until_ms = systemClock.elapsed_ms() + OWNER_WAIT_MS;
  for (;;) {
    const there = await s3.get(OWNER);
    if (there) return mustBe(own, new TextDecoder().decode(there).slice(0, 64), s3.where);
    if (own !== null && (await s3.create(OWNER, utf8(own))) === 'created') return own;
    if (systemClock.elapsed_ms() > until_ms) {
      const message = `${s3.where}: expected the bucket of a hub, it is nobody's: start a process that has hub.key in its folder first`;
      throw new HubError('bad-folder', message);
    }
    await sleep(systemClock, OWNER_LOOK_MS);
  }
}

function mustBe(own: string | null, found: string, where: string): string {
  if (own === null || own === found) return found;
  const message = `${where}: expected the bucket of hub ${own}, whose key is hub.key in the folder; it is that of hub ${found}`;
  throw new HubError('bad-folder', message, { found });
}

/** A hub that writes its log alone waits for its bucket: whoever started it would only start it again. */
const ALONE_PATIENCE_MS = 10 * 60_000;

/** The journal of a bucket. */
export const journalIn = (s3: S3, patience_ms?: number): Journal => openObjectJournal(s3Objects(s3), { patience_ms });
