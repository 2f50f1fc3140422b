// Reads a public log from a copy of a hub's folder, so that a running hub is not disturbed. The hub may also have been killed.
import { closeSync, constants, copyFileSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { MAX_ENTRY_BYTES } from '../ledger/log-store.ts';
import { HASH_BYTES } from '../ledger/merkle.ts';
import { openSmallBlobs, SMALL_BLOBS_FILE } from '../ledger/small-blobs.ts';
import { APPLICATION_ID, FORMAT_VERSION } from '../ledger/sqlite-log-file.ts';
import { encodeEntryBundle, TILE_WIDTH } from '../ledger/tiles.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import {
  AuditFailure,
  type LogPage,
  openHead,
  type PublicBlobs,
  type PublicLog,
  PublicLogError,
} from './public-log.ts';

/** How often copying is tried: the WAL starts anew every few thousand commits, and a copy takes less than a second per gigabyte. */
const COPY_ATTEMPTS = 20;
/** The WAL's header (sqlite.org/walformat.html): its salts change whenever the WAL starts anew. */
const WAL_HEADER_BYTES = 32;

/** Opens the log of a hub's folder. Throws PublicLogError, AuditFailure `bad-checkpoint`. */
export function openFolderLog(folder: string, expected?: string): PublicLog {
  const path = join(folder, 'hub.sqlite');
  if (!statSync(path, { throwIfNoEntry: false })?.isFile()) {
    throw new PublicLogError('not-a-log', `expected a hub's folder with hub.sqlite in it, got ${folder}`, { folder });
  }
  const copies = mkdtempSync(join(tmpdir(), 'potluck-log-'));
  let db: DatabaseSync | undefined;
  const close = (): void => {
    if (db?.isOpen) db.close();
    rmSync(copies, { recursive: true, force: true });
  };
  try {
    db = openDatabase(copyDatabase(path, copies), path);
    // An open file stays readable after it is deleted, so not even a killed reader leaves a copy behind. Windows cannot do that.
    if (process.platform !== 'win32') rmSync(copies, { recursive: true, force: true });
    return readingLog(db, folder, expected, close);
  } catch (error) {
    close();
    throw error;
  }
}

/** The blobs in a hub's folder, as ledger/folder-blob-store.ts keeps them: small ones in one file, others as ab/cd/abcd…. Only read, never cleaned up. */
export function folderBlobs(folder: string): PublicBlobs {
  const small = openSmallBlobs(join(folder, 'blobs', SMALL_BLOBS_FILE), { make: false, read_only: true });
  const checked = (hash: string, bytes: Uint8Array): Uint8Array => {
    const found = sha256Hex(bytes);
    if (found === hash) return bytes;
    throw new AuditFailure('corrupt-blob', `the bytes of blob ${hash} have the hash ${found}`, { blob: hash, found });
  };
  return {
    async blob(hash) {
      const gathered = small.get(hash);
      if (gathered) return checked(hash, gathered);
      const path = join(folder, 'blobs', hash.slice(0, 2), hash.slice(2, 4), hash);
      const size_bytes = await stat(path).then(
        (info) => (info.isFile() ? info.size : null),
        () => null,
      );
      if (size_bytes === null) return null;
      if (size_bytes > WIRE_LIMITS.blob_bytes) {
        const limit_bytes = WIRE_LIMITS.blob_bytes;
        throw new PublicLogError('too-large', `blob ${hash} has ${size_bytes} bytes, at most ${limit_bytes} are read`);
      }
      return checked(hash, new Uint8Array(await readFile(path)));
    },
  };
}

/**
 * Copies the database and then its write-ahead log. A running hub moves pages from the log into the database. As long as the log has not
 * started anew meanwhile, it still holds every page that may be torn in the copy of the database. SQLite ignores the log's torn end.
 */
function copyDatabase(path: string, folder: string): string {
  const copy = join(folder, 'copy.sqlite');
  const wal = `${path}-wal`;
  const cloned = constants.COPYFILE_FICLONE; // a copy without copying, where the file system shares blocks
  for (let attempt = 0; attempt < COPY_ATTEMPTS; attempt++) {
    const before = headerOf(wal);
    copyFileSync(path, copy, cloned);
    rmSync(`${copy}-wal`, { force: true });
    if (before) {
      try {
        copyFileSync(wal, `${copy}-wal`, cloned);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue; // the hub has just closed it
        throw error;
      }
    }
    const after = headerOf(wal);
    if (before === after && (!before || headerOf(`${copy}-wal`) === before)) return copy;
  }
  throw new PublicLogError('log-in-motion', `${path} changed in each of ${COPY_ATTEMPTS} attempts to copy it`, {
    path,
  });
}

/** The header of a write-ahead log as text; empty where there is no WAL. */
function headerOf(wal: string): string {
  if (!statSync(wal, { throwIfNoEntry: false })?.isFile()) return '';
  const file = openSync(wal, 'r');
  try {
    const header = Buffer.alloc(WAL_HEADER_BYTES);
    return readSync(file, header, 0, WAL_HEADER_BYTES, 0) === WAL_HEADER_BYTES ? header.toString('hex') : '';
  } finally {
    closeSync(file);
  }
}

function openDatabase(copy: string, path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(copy);
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    const number = (pragma: string) => Object.values(db!.prepare(`PRAGMA ${pragma}`).get() ?? {})[0];
    if (number('application_id') !== APPLICATION_ID) {
      throw new PublicLogError('not-a-log', `${path} is an SQLite file, but no log of Potluck's`, { path });
    }
    const version = number('user_version') as number;
    if (!(version >= 1 && version <= FORMAT_VERSION)) {
      const message = `${path} has log format ${version}, this build reads 1 to ${FORMAT_VERSION}`;
      throw new PublicLogError('unknown-version', message, { path, version });
    }
    return db;
  } catch (error) {
    if (db?.isOpen) db.close();
    if (error instanceof PublicLogError) throw error;
    throw new PublicLogError('not-a-log', `${path} is damaged or not a log: ${(error as Error).message}`, { path });
  }
}

function readingLog(db: DatabaseSync, folder: string, expected: string | undefined, close: () => void): PublicLog {
  const derived = db.prepare('SELECT bytes FROM derived WHERE key = ?');
  const entries = db.prepare('SELECT idx, bytes FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx');
  const kept = (key: string) => (derived.get(key) as { bytes: Uint8Array } | undefined)?.bytes ?? null;
  const last = (db.prepare('SELECT max(idx) AS last FROM entries').get() as { last: number | null }).last;
  const size = (last ?? -1) + 1;
  const note = kept('checkpoint');
  if (!note && !expected) {
    throw new PublicLogError('no-checkpoint', `the hub of ${folder} has signed nothing yet; name its id`, { folder });
  }
  const opened = note ? openHead(new TextDecoder().decode(note), expected) : { hub: expected!, head: null };

  async function* pages(): AsyncGenerator<LogPage> {
    for (let first = 0; first < size; first += TILE_WIDTH) {
      const count = Math.min(TILE_WIDTH, size - first);
      const rows = damaged(folder, first, () => entries.all(first, first + count)) as {
        idx: number;
        bytes: Uint8Array;
      }[];
      rows.forEach(({ idx, bytes }, i) => {
        if (idx !== first + i) throw missingEntry(first + i, size);
        if (bytes.length === 0 || bytes.length > MAX_ENTRY_BYTES) {
          const message = `entry ${idx}: an entry has 1 to ${MAX_ENTRY_BYTES} bytes, this one has ${bytes.length}`;
          throw new AuditFailure('bad-bundle', message, { index: idx });
        }
      });
      if (rows.length !== count) throw missingEntry(first + rows.length, size);
      yield { first, count, bundle: encodeEntryBundle(rows.map(({ bytes }) => bytes)) };
    }
  }

  return {
    where: folder,
    ...opened,
    size,
    cosigned: null,
    pages,
    // Full tiles are stored with their root at the end; partial tiles are not stored.
    async tile(level, index, width) {
      const bytes = width === TILE_WIDTH ? kept(`tile/${level}/${index}`) : null;
      return bytes?.length === (TILE_WIDTH + 1) * HASH_BYTES ? bytes.subarray(0, TILE_WIDTH * HASH_BYTES) : bytes;
    },
    ...folderBlobs(folder),
    status: async () => null,
    close,
  };
}

function missingEntry(index: number, size: number): AuditFailure {
  return new AuditFailure('bad-bundle', `the log has ${size} entries, but entry ${index} is missing`, { index });
}

function damaged<T>(folder: string, index: number, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new AuditFailure('bad-bundle', `entries from ${index} in ${folder}: ${(error as Error).message}`, { index });
  }
}
