// The SQLite file of a log (node:sqlite): WAL with synchronous FULL (NORMAL for the copy of a journal), one process at a time; its tables, their versions, and its errors.
import { DatabaseSync } from 'node:sqlite';
import { makePrivateFile } from '../protocol/private-files.ts';
import { LedgerError } from './errors.ts';
import { fitsInBatch } from './journal.ts';

/** "PtLk" in ASCII: tells this file from any other SQLite database. */
export const APPLICATION_ID = 0x50744c6b;
/** Version 2 marks the first entry of each batch. Code that only reads entries can read version 1 as well. */
export const FORMAT_VERSION = 2;

// Only the first entry of a batch has `batch`, and `prev` in the copy of a journal, so a commit writes no extra page for batches.
const SCHEMA = `
  CREATE TABLE entries (idx INTEGER PRIMARY KEY, bytes BLOB NOT NULL, batch INTEGER, prev BLOB) STRICT;
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
/** The value of `PRAGMA synchronous` for FULL: a commit returns only after it has reached the disk. */
const SYNCHRONOUS_FULL = 2;

const COPY_PAGE_BYTES = 16_384;

export interface LogFile {
  readonly path: string;
  readonly db: DatabaseSync;
  /** When this returns, all of `work` is on the disk, or nothing. Throws LedgerError `disk-full`; `write-failed`, and then at every later call. */
  transaction(work: () => void): void;
  /** Turns SQLite's errors into LedgerError `log-corrupt` or `store-unusable`. */
  query<T>(read: () => T): T;
}

/**
 * Opens (or makes) a log file and upgrades it to the present format. This process holds it until it closes it or dies, however suddenly.
 * Throws LedgerError `log-locked` (with the path) when another process holds it, `log-corrupt`, `log-unknown-version`, `store-unusable`.
 * @param kind a copy of a journal need not wait for its disk: what a power cut takes of its end is read from the journal again
 */
export function openLogFile(path: string, kind: 'own' | 'copy' = 'own'): LogFile {
  let db: DatabaseSync | undefined;
  try {
    makePrivateFile(path);
    db = new DatabaseSync(path, { timeout: 0 });
    // Of a new file only. Batches come whole, so that a quarter of the pages is written, and again when they leave the write-ahead log.
    if (kind === 'copy') db.exec(`PRAGMA page_size = ${COPY_PAGE_BYTES}`);
    prepare(db, path);
    if (kind === 'copy') db.exec('PRAGMA synchronous = NORMAL');
  } catch (error) {
    if (db?.isOpen) db.close();
    throw openError(error, path);
  }
  return {
    path,
    db,
    transaction: transactionsOf(db, path),
    query(read) {
      try {
        return read();
      } catch (error) {
        throw openError(error, path);
      }
    },
  };
}

function prepare(db: DatabaseSync, path: string): void {
  // EXCLUSIVE before the first access: the operating system's file locks end with the process, so a crash leaves no lock behind.
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  mustBeDurable(db, path);
  db.exec('BEGIN IMMEDIATE');
  const application_id = pragma(db, 'application_id');
  const version = pragma(db, 'user_version');
  const tables = db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n as number;
  if (tables === 0 && application_id === 0) {
    db.exec(SCHEMA);
  } else if (application_id !== APPLICATION_ID) {
    throw new LedgerError('log-corrupt', `${path} is an SQLite file, but no log of Potluck's`, { path });
  } else if (version === 1) {
    divideIntoBatches(db);
  } else if (version !== FORMAT_VERSION) {
    const message = `${path} has log format ${version}, this build reads 1 to ${FORMAT_VERSION}`;
    throw new LedgerError('log-unknown-version', message, { path, version });
  }
  const first = db.prepare('SELECT min(idx) AS first FROM entries').get()?.first ?? 0;
  if (first !== 0) {
    throw new LedgerError('log-corrupt', `${path}: the first entry has index ${first}, expected 0`, { path });
  }
  db.exec('COMMIT');
}

/** Format 1 had entries without batches: this groups them into as few batches as possible, in one pass over their lengths. */
function divideIntoBatches(db: DatabaseSync): void {
  db.exec('ALTER TABLE entries ADD COLUMN batch INTEGER; ALTER TABLE entries ADD COLUMN prev BLOB');
  const firsts: number[] = [];
  let [entries, bytes] = [0, 0];
  for (const row of db.prepare('SELECT idx, length(bytes) AS size FROM entries ORDER BY idx').iterate()) {
    const { idx, size } = row as { idx: number; size: number };
    if (firsts.length === 0 || !fitsInBatch(entries + 1, bytes + size)) {
      firsts.push(idx);
      [entries, bytes] = [0, 0];
    }
    entries++;
    bytes += size;
  }
  const begin = db.prepare('UPDATE entries SET batch = ? WHERE idx = ?');
  for (const [number, first] of firsts.entries()) begin.run(number, first);
  db.exec(`PRAGMA user_version = ${FORMAT_VERSION}`);
}

function transactionsOf(db: DatabaseSync, path: string): LogFile['transaction'] {
  /** Set by a write that failed for another reason than a full disk: the state of the disk is unknown until the log is opened anew. */
  let broken: LedgerError | null = null;
  return (work) => {
    if (broken) throw broken;
    try {
      db.exec('BEGIN IMMEDIATE');
      work();
      db.exec('COMMIT');
    } catch (error) {
      const full = rollBack(db) && isDiskFull(error);
      const message = `writing to ${path} failed: ${(error as Error).message}`;
      const failure = new LedgerError(full ? 'disk-full' : 'write-failed', message, { path });
      if (!full) broken = failure;
      throw failure;
    }
  };
}

/** Rolls back a failed transaction; false where that fails too. */
export function rollBack(db: DatabaseSync): boolean {
  try {
    if (db.isTransaction) db.exec('ROLLBACK');
    return true;
  } catch {
    return false;
  }
}

function pragma(db: DatabaseSync, name: string): number | string {
  return Object.values(db.prepare(`PRAGMA ${name}`).get() ?? {})[0] as number | string;
}

/**
 * SQLite silently ignores a setting that it cannot apply, and then a power cut could lose an acknowledged event.
 * Throws LedgerError `store-unusable` with the actual and the expected settings.
 */
export function mustBeDurable(db: DatabaseSync, path: string): void {
  const found = { journal_mode: pragma(db, 'journal_mode'), synchronous: pragma(db, 'synchronous') };
  if (found.journal_mode === 'wal' && found.synchronous === SYNCHRONOUS_FULL) return;
  const got = `journal_mode ${found.journal_mode}, synchronous ${found.synchronous}`;
  const message = `${path}: expected journal_mode wal and synchronous ${SYNCHRONOUS_FULL} (FULL), got ${got}`;
  throw new LedgerError('store-unusable', message, { path });
}

/** Whether an error of SQLite says that the disk is full. */
export const isDiskFull = (error: unknown): boolean => resultCode(error) === SQLITE_FULL;

function resultCode(error: unknown): number | null {
  const code = (error as { errcode?: unknown }).errcode;
  return typeof code === 'number' ? code & 0xff : null;
}

function openError(error: unknown, path: string): LedgerError {
  if (error instanceof LedgerError) return error;
  switch (resultCode(error)) {
    case SQLITE_BUSY:
      return new LedgerError('log-locked', `${path} is in use by another process`, { path });
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return new LedgerError('log-corrupt', `${path} is damaged or not a log: ${(error as Error).message}`, { path });
    default:
      return new LedgerError('store-unusable', `${path} cannot be opened: ${(error as Error).message}`, { path });
  }
}
