// Small blobs of a blob folder in one SQLite file: many that come at once share a commit, where each file of its own takes three flushes of the disk.
import { existsSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { makePrivateFile } from '../protocol/private-files.ts';
import { LedgerError } from './errors.ts';
import { pacedSoon, type Soon } from './paced.ts';
import { isDiskFull, mustBeDurable, rollBack } from './sqlite-log-file.ts';

/** The file's name in the folder. */
export const SMALL_BLOBS_FILE = 'small.sqlite';
/** Up to this size a blob goes into the file. Larger ones would be written twice, into the write-ahead log and from there, for little. */
export const SMALL_BLOB_BYTES = 16 << 10;
/** How long a commit waits for another process or thread that is writing: each holds the file for one commit. */
const BUSY_MS = 10_000;
const FORMAT_VERSION = 1;
/** "PtBl" in ASCII. */
const APPLICATION_ID = 0x5074426c;
const SCHEMA = `
  CREATE TABLE blobs (hash BLOB NOT NULL UNIQUE, bytes BLOB NOT NULL, put_ms INTEGER NOT NULL) STRICT;
  PRAGMA application_id = ${APPLICATION_ID};
  PRAGMA user_version = ${FORMAT_VERSION};
`;
/** How many names are read at once, so that no cursor stays open while somebody works on them. */
const PAGE = 1000;

/** Names are hashes, as 64 hexadecimal digits; the caller has checked them. What is read is not compared with its name. */
export interface SmallBlobs {
  /**
   * Keeps bytes under their hash, in place of what was there. Durable when resolved, to whether something was there. Throws LedgerError `disk-full`,
   * `store-unusable`.
   */
  put(hash: string, bytes: Uint8Array): Promise<{ readonly known: boolean }>;
  get(hash: string): Uint8Array | null;
  sizeOf(hash: string): number | null;
  /** When it was last put, in ms since 1970. */
  putAt(hash: string): number | null;
  /** Durable when it returns; false where there was none. */
  delete(hash: string): boolean;
  /** All names in ascending order. */
  names(): Iterable<string>;
  /** How many there are, and their bytes; those that were put since a moment. */
  count(since_ms?: number): { readonly blobs: number; readonly bytes: number };
  close(): void;
}

export interface SmallBlobsOptions {
  /** Whether the file is made where there is none. Otherwise it is empty until another one makes it. */
  readonly make: boolean;
  /** Nothing is written, not even SQLite's own files where the folder does not allow it. */
  readonly read_only?: boolean;
  /** Runs a callback when calls that come together have all come. */
  readonly soon?: Soon;
}

/** Several processes and threads may have one file open. It is opened at its first use. */
export function openSmallBlobs(path: string, options: SmallBlobsOptions): SmallBlobs {
  let open: Open | null = null;
  /** null: there is no such file (yet). */
  const file = (): Open | null => {
    if (!open && (options.make || existsSync(path))) open = openFile(path, options.read_only === true);
    return open;
  };
  const commit = commitsOf(path, () => file()!, options.soon ?? pacedSoon());
  const row = (hash: string, what: 'size' | 'bytes' | 'put_ms') => file()?.query(what, key(hash)) ?? null;
  return {
    put: (hash, bytes) => commit({ hash: key(hash), bytes: new Uint8Array(bytes) }),
    get: (hash) => row(hash, 'bytes') as Uint8Array | null,
    sizeOf: (hash) => row(hash, 'size') as number | null,
    putAt: (hash) => row(hash, 'put_ms') as number | null,
    delete(hash) {
      const found = file();
      return found !== null && attempt(path, () => found.remove.run(key(hash))).changes > 0;
    },
    *names() {
      const found = file();
      if (!found) return;
      for (let last: Uint8Array = new Uint8Array(); ; ) {
        const page = attempt(path, () => found.names.all(last)) as { hash: Uint8Array }[];
        for (const { hash } of page) yield Buffer.from(hash).toString('hex');
        if (page.length < PAGE) return;
        last = page.at(-1)!.hash;
      }
    },
    count(since_ms = 0) {
      const found = file();
      if (!found) return { blobs: 0, bytes: 0 };
      return attempt(path, () => found.count.get(since_ms)) as { blobs: number; bytes: number };
    },
    close() {
      open?.db.close();
      open = null;
    },
  };
}

const key = (hash: string): Uint8Array => Buffer.from(hash, 'hex');

interface Open {
  readonly db: DatabaseSync;
  /** One column of a blob; undefined where there is no such blob. */
  query(what: 'size' | 'bytes' | 'put_ms', hash: Uint8Array): unknown;
  /** Of a name that is there it changes nothing. */
  readonly insert: StatementSync;
  readonly replace: StatementSync;
  readonly remove: StatementSync;
  readonly names: StatementSync;
  readonly count: StatementSync;
}

/** Throws LedgerError `disk-full`, `store-unusable`. */
function openFile(path: string, read_only: boolean): Open {
  return attempt(path, () => {
    const db = read_only ? openToRead(path) : openToWrite(path);
    const columns = {
      size: db.prepare('SELECT length(bytes) AS it FROM blobs WHERE hash = ?'),
      bytes: db.prepare('SELECT bytes AS it FROM blobs WHERE hash = ?'),
      put_ms: db.prepare('SELECT put_ms AS it FROM blobs WHERE hash = ?'),
    };
    return {
      db,
      query: (what, hash) => attempt(path, () => columns[what].get(hash))?.it,
      insert: db.prepare('INSERT INTO blobs (hash, bytes, put_ms) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING'),
      replace: db.prepare('UPDATE blobs SET bytes = ?2, put_ms = ?3 WHERE hash = ?1'),
      remove: db.prepare('DELETE FROM blobs WHERE hash = ?'),
      names: db.prepare(`SELECT hash FROM blobs WHERE hash > ? ORDER BY hash LIMIT ${PAGE}`),
      count: db.prepare(
        'SELECT count(*) AS blobs, coalesce(sum(length(bytes)), 0) AS bytes FROM blobs WHERE put_ms >= ?',
      ),
    };
  });
}

function openToWrite(path: string): DatabaseSync {
  makePrivateFile(path);
  const db = new DatabaseSync(path, { timeout: BUSY_MS });
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
  mustBeDurable(db, path);
  db.exec('BEGIN IMMEDIATE');
  const { user_version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (user_version === 0) db.exec(SCHEMA);
  db.exec('COMMIT');
  mustBeKnown(db, path);
  return db;
}

/** Of a folder that may not be written to SQLite can read a file that nobody has open. */
function openToRead(path: string): DatabaseSync {
  const read = (at: string | URL): DatabaseSync => {
    const db = new DatabaseSync(at, { timeout: BUSY_MS, readOnly: true });
    mustBeKnown(db, path);
    return db;
  };
  try {
    return read(path);
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    return read(new URL(`${pathToFileURL(path)}?immutable=1`));
  }
}

function mustBeKnown(db: DatabaseSync, path: string): void {
  const { application_id } = db.prepare('PRAGMA application_id').get() as { application_id: number };
  const { user_version } = db.prepare('PRAGMA user_version').get() as { user_version: number };
  if (application_id === APPLICATION_ID && user_version === FORMAT_VERSION) return;
  const message = `${path}: expected small blobs in format ${FORMAT_VERSION}, got format ${user_version} of ${application_id}`;
  throw new LedgerError('store-unusable', message, { path, version: user_version });
}

interface Put {
  readonly hash: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Gathers puts, and writes them in one transaction. */
function commitsOf(path: string, file: () => Open, soon: Soon): (put: Put) => ReturnType<SmallBlobs['put']> {
  let waiting: { readonly put: Put; resolve(done: { known: boolean }): void; reject(error: unknown): void }[] = [];
  /** Set by a commit that failed for another reason than a full disk: what the disk has is unknown until the file is opened anew. */
  let broken: unknown = null;
  /** @returns for each whether it was there */
  const writeAll = (puts: readonly Put[]): boolean[] => {
    if (broken) throw broken;
    const { db, insert, replace } = file();
    db.exec('BEGIN IMMEDIATE'); // where this fails nothing was written
    try {
      const now_ms = Date.now();
      const known = puts.map(({ hash, bytes }) => {
        if (insert.run(hash, bytes, now_ms).changes > 0) return false;
        replace.run(hash, bytes, now_ms);
        return true;
      });
      db.exec('COMMIT');
      return known;
    } catch (error) {
      if (!rollBack(db) || !isDiskFull(error)) broken = error;
      throw error;
    }
  };
  const write = (): void => {
    const all = waiting;
    waiting = [];
    try {
      const known = attempt(path, () => writeAll(all.map(({ put }) => put)));
      for (const [i, { resolve }] of all.entries()) resolve({ known: known[i] });
    } catch (error) {
      for (const { reject } of all) reject(error);
    }
  };
  return (put) =>
    new Promise((resolve, reject) => {
      waiting.push({ put, resolve, reject });
      if (waiting.length === 1) soon(write);
    });
}

/** Turns SQLite's errors into LedgerError `disk-full` or `store-unusable`. */
function attempt<T>(path: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    const code = isDiskFull(error) ? 'disk-full' : 'store-unusable';
    throw new LedgerError(code, `${path}: ${(error as Error).message}`, { path });
  }
}
