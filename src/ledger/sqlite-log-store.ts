// The log as one SQLite file (node:sqlite): WAL with synchronous FULL, one sync for all calls of a moment, one process at a time.
import { closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { sha256 } from '../protocol/hash.ts';
import { PRIVATE_FILE } from '../protocol/private-files.ts';
import { LedgerError } from './errors.ts';
import {
  checkEntries,
  checkRange,
  checkSnapshotSize,
  closedError,
  type LogStore,
  MAX_WAITING_BYTES,
  MAX_WAITING_ENTRIES,
  SNAPSHOTS_KEPT,
} from './log-store.ts';

/** "PtLk" in ASCII: tells this file from any other SQLite database. */
const APPLICATION_ID = 0x50744c6b;
const FORMAT_VERSION = 1;

const SCHEMA = `
  CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  CREATE TABLE snapshots (
    name TEXT NOT NULL, size INTEGER NOT NULL, hash BLOB NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (name, size)
  ) STRICT;
  CREATE TABLE derived (key TEXT PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT_VERSION};
`;

// SQLite's primary result codes (the low byte of node:sqlite's errcode).
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
/** What `PRAGMA synchronous` answers for FULL: a commit has reached the disk when it is told. */
const SYNCHRONOUS_FULL = 2;

interface Waiting {
  readonly entries: readonly Uint8Array[];
  readonly resolve: (first: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Opens (or makes) a log file and takes it for this process until `close` or the process's death, however sudden.
 * Throws LedgerError `log-locked` (with the path) when another holds it, `log-corrupt`, `log-unknown-version`, `store-unusable`.
 */
export function openSqliteLogStore(path: string): LogStore {
  let db: DatabaseSync | undefined;
  try {
    makePrivate(path);
    db = new DatabaseSync(path, { timeout: 0 });
    return prepare(db, path);
  } catch (error) {
    if (db?.isOpen) db.close();
    throw openError(error, path);
  }
}

/** Makes an empty file where there is none: SQLite gives what it keeps beside a file the same mode. */
function makePrivate(path: string): void {
  try {
    closeSync(openSync(path, 'wx', PRIVATE_FILE));
  } catch (error) {
    // One that is there is not opened here: closing it would end the locks that this process may hold on it.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

function prepare(db: DatabaseSync, path: string): LogStore {
  // EXCLUSIVE before the first access: the file is locked by the system's own file locks, which no crash leaves behind.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  mustBeDurable(db, path);
  db.exec('BEGIN IMMEDIATE');
  const applicationId = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n as number;
  if (tables === 0 && applicationId === 0) {
    db.exec(SCHEMA);
  } else if (applicationId !== APPLICATION_ID) {
    throw new LedgerError('log-corrupt', `${path} is an SQLite file, but no log of Potluck's`, { path });
  } else if (version !== FORMAT_VERSION) {
    throw new LedgerError(
      'log-unknown-version',
      `${path} has log format ${version}, this build reads ${FORMAT_VERSION}`,
      {
        path,
        version,
      },
    );
  }
  // Only the ends are looked at, so that opening takes as long for a million entries as for ten; `read` finds a hole between them.
  const { first, last } = db
    .prepare('SELECT (SELECT min(idx) FROM entries) AS first, (SELECT max(idx) FROM entries) AS last')
    .get() as { first: number | null; last: number | null };
  if ((first ?? 0) !== 0) {
    throw new LedgerError('log-corrupt', `${path}: the first entry has index ${first}, expected 0`, { path });
  }
  db.exec('COMMIT');

  const insertEntry = db.prepare('INSERT INTO entries (idx, bytes) VALUES (?, ?)');
  const insertDerived = db.prepare('INSERT OR REPLACE INTO derived (key, bytes) VALUES (?, ?)');
  const selectEntries = db.prepare('SELECT bytes FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx');
  const selectDerived = db.prepare('SELECT bytes FROM derived WHERE key = ?');
  const insertSnapshot = db.prepare('INSERT OR REPLACE INTO snapshots (name, size, hash, bytes) VALUES (?, ?, ?, ?)');
  const selectSnapshots = db.prepare('SELECT size, hash, bytes FROM snapshots WHERE name = ? ORDER BY size DESC');
  const dropSnapshots = db.prepare(
    `DELETE FROM snapshots WHERE name = ?1 AND size NOT IN
       (SELECT size FROM snapshots WHERE name = ?1 ORDER BY size DESC LIMIT ${SNAPSHOTS_KEPT})`,
  );

  let size = (last ?? -1) + 1;
  let waiting: Waiting[] = [];
  let waitingEntries = 0;
  let waitingBytes = 0;
  let derivedWaiting = new Map<string, Uint8Array>();
  let closed = false;
  /** Set by a write that failed for another reason than a full disk: what is on the disk is then uncertain until it is opened anew. */
  let broken: LedgerError | null = null;

  /** Writes everything that waits in one transaction, then answers the calls in their order. */
  function commit(): void {
    const calls = waiting;
    const derivedRows = derivedWaiting;
    waiting = [];
    waitingEntries = 0;
    waitingBytes = 0;
    derivedWaiting = new Map();
    if (calls.length === 0 && derivedRows.size === 0) return;
    let next = size;
    try {
      transaction(() => {
        for (const { entries } of calls) for (const entry of entries) insertEntry.run(next++, entry);
        for (const [key, bytes] of derivedRows) insertDerived.run(key, bytes);
      });
    } catch (error) {
      // What follows from the entries goes with the next commit that succeeds.
      for (const [key, bytes] of derivedRows) if (!derivedWaiting.has(key)) derivedWaiting.set(key, bytes);
      for (const call of calls) call.reject(error);
      return;
    }
    for (const call of calls) {
      call.resolve(size);
      size += call.entries.length;
    }
  }

  function transaction(work: () => void): void {
    if (broken) throw broken;
    try {
      db.exec('BEGIN IMMEDIATE');
      work();
      db.exec('COMMIT');
    } catch (error) {
      const takenBack = rollBack();
      const full = takenBack && resultCode(error) === SQLITE_FULL;
      const message = `writing to ${path} failed: ${(error as Error).message}`;
      const failure = new LedgerError(full ? 'disk-full' : 'write-failed', message, { path });
      if (!full) broken = failure;
      throw failure;
    }
  }

  /** Takes back what a failed transaction has written; false where that fails too. */
  function rollBack(): boolean {
    try {
      if (db.isTransaction) db.exec('ROLLBACK');
      return true;
    } catch {
      return false;
    }
  }

  const mustBeOpen = () => {
    if (closed) throw closedError();
  };

  return {
    get size() {
      return size;
    },
    async append(entries) {
      mustBeOpen();
      const bytes = checkEntries(entries);
      if (waitingEntries + entries.length > MAX_WAITING_ENTRIES || waitingBytes + bytes > MAX_WAITING_BYTES) {
        throw new LedgerError(
          'overloaded',
          `${waitingEntries} entries (${waitingBytes} bytes) already wait to be written`,
          {
            waiting_entries: waitingEntries,
            waiting_bytes: waitingBytes,
          },
        );
      }
      return new Promise<number>((resolve, reject) => {
        // After the I/O callbacks of this turn: every call made in it shares the sync.
        if (waiting.length === 0) setImmediate(commit);
        waiting.push({ entries: entries.map((entry) => new Uint8Array(entry)), resolve, reject });
        waitingEntries += entries.length;
        waitingBytes += bytes;
      });
    },
    read(from, to) {
      mustBeOpen();
      checkRange(from, to, size);
      const rows = readable(path, () => selectEntries.all(from, to)) as { bytes: Uint8Array }[];
      if (rows.length !== to - from) {
        throw new LedgerError(
          'log-corrupt',
          `${path}: expected ${to - from} entries from ${from}, found ${rows.length}`,
          {
            path,
          },
        );
      }
      return rows.map((row) => row.bytes);
    },
    putSnapshot(name, snapshotSize, bytes) {
      mustBeOpen();
      checkSnapshotSize(snapshotSize, size);
      transaction(() => {
        insertSnapshot.run(name, snapshotSize, sha256(bytes), bytes);
        dropSnapshots.run(name);
      });
    },
    snapshots(name) {
      mustBeOpen();
      const rows = readable(path, () => selectSnapshots.all(name)) as {
        size: number;
        hash: Uint8Array;
        bytes: Uint8Array;
      }[];
      return rows.map((row) => {
        const intact = row.size <= size && Buffer.from(sha256(row.bytes)).equals(row.hash);
        return { size: row.size, bytes: intact ? row.bytes : null };
      });
    },
    putDerived(key, bytes) {
      mustBeOpen();
      derivedWaiting.set(key, new Uint8Array(bytes));
    },
    getDerived(key) {
      mustBeOpen();
      const pending = derivedWaiting.get(key);
      if (pending) return pending.slice();
      const row = readable(path, () => selectDerived.get(key)) as { bytes: Uint8Array } | undefined;
      return row?.bytes ?? null;
    },
    async close() {
      if (closed) return;
      closed = true;
      commit();
      db.close();
    },
  };
}

function pragma(db: DatabaseSync, name: string): number | string {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0] as number | string;
}

/**
 * SQLite answers a setting that it cannot follow with silence, and then an acknowledged event may be gone after a power cut.
 * Throws LedgerError `store-unusable` with what is set and what should be.
 */
export function mustBeDurable(db: DatabaseSync, path: string): void {
  const found = { journal_mode: pragma(db, 'journal_mode'), synchronous: pragma(db, 'synchronous') };
  if (found.journal_mode === 'wal' && found.synchronous === SYNCHRONOUS_FULL) return;
  const got = `journal_mode ${found.journal_mode}, synchronous ${found.synchronous}`;
  const message = `${path}: expected journal_mode wal and synchronous ${SYNCHRONOUS_FULL} (FULL), got ${got}`;
  throw new LedgerError('store-unusable', message, { path });
}

function resultCode(error: unknown): number | null {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : null;
}

function readable<T>(path: string, query: () => T): T {
  try {
    return query();
  } catch (error) {
    throw openError(error, path);
  }
}

function openError(error: unknown, path: string): LedgerError {
  if (error instanceof LedgerError) return error;
  switch (resultCode(error)) {
    case SQLITE_BUSY:
      return new LedgerError('log-locked', `${path} is in use by another process`, { path });
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new LedgerError('log-corrupt', `${path} is damaged or no log: ${(error as Error).message}`, { path });
    default:
      return new LedgerError('store-unusable', `${path} cannot be opened: ${(error as Error).message}`, { path });
  }
}
