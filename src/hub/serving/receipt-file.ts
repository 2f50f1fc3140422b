// The file in which a hub keeps receipts of answers until they are settled, and where each is afterwards (node:sqlite). What was put is on the disk.
import { DatabaseSync } from 'node:sqlite';
import { isDiskFull } from '../../ledger/sqlite-log-file.ts';
import { makePrivateFile } from '../../protocol/private-files.ts';
import { HubError } from '../errors.ts';

// `batch` and `place` say where a receipt was settled; then its bytes are in the batch's blob.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS receipts (
    id INTEGER PRIMARY KEY, part TEXT NOT NULL UNIQUE, bytes BLOB, batch INTEGER, place INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS waiting ON receipts (id) WHERE batch IS NULL;
  CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, entry INTEGER NOT NULL, blob TEXT NOT NULL) STRICT;
`;

/** A batch that is in the log: its entry's index, and the parts of answers in it, in order. */
export interface SettledBatch {
  readonly number: number;
  readonly entry: number;
  readonly blob: string;
  readonly parts: readonly string[];
}

export interface Place {
  readonly batch: number;
  readonly place: number;
  readonly entry: number;
  readonly blob: string;
}

export interface ReceiptFile {
  /** The number of the batch after the last that is noted here. */
  readonly next_batch: number;
  has(part: string): boolean;
  /** Whether there is a receipt that is not settled. */
  waits(part: string): boolean;
  /** Throws HubError `disk-full`. */
  put(part: string, bytes: Uint8Array): void;
  /** Receipts that are not settled, oldest first. Nothing may be written before the iteration has ended. */
  waiting(): Iterable<Uint8Array>;
  /** Notes a batch: all of it, or nothing. */
  settle(batch: SettledBatch): void;
  placeOf(part: string): Place | null;
  /** The parts of an answer that there are receipts of, and whether each is settled. */
  partsOf(request: string): { readonly part: number; readonly settled: boolean }[];
  close(): void;
}

/** @param path ":memory:" for none. Throws the errors of SQLite and the file system. */
export function openReceiptFile(path: string): ReceiptFile {
  if (path !== ':memory:') makePrivateFile(path);
  const db = new DatabaseSync(path);
  try {
    // Somebody has worked for a receipt: it is on the disk before anybody is told that it was taken.
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; ${SCHEMA}`);
  } catch (error) {
    db.close();
    throw error;
  }
  const has = db.prepare('SELECT 1 FROM receipts WHERE part = ?');
  const waits = db.prepare('SELECT 1 FROM receipts WHERE part = ? AND batch IS NULL');
  const put = db.prepare('INSERT INTO receipts (part, bytes) VALUES (?, ?)');
  const waiting = db.prepare('SELECT bytes FROM receipts WHERE batch IS NULL ORDER BY id');
  const mark = db.prepare(`INSERT INTO receipts (part, bytes, batch, place) VALUES (?, NULL, ?, ?)
    ON CONFLICT (part) DO UPDATE SET bytes = NULL, batch = excluded.batch, place = excluded.place`);
  const note = db.prepare('INSERT INTO batches VALUES (?, ?, ?)');
  const last = db.prepare('SELECT max(number) AS number FROM batches');
  const place = db.prepare(
    `SELECT batch, place, entry, blob FROM receipts JOIN batches ON number = batch WHERE part = ?`,
  );
  const parts = db.prepare('SELECT part, batch FROM receipts WHERE part > ? AND part < ?');
  return {
    get next_batch() {
      return ((last.get() as { number: number | null }).number ?? -1) + 1;
    },
    has: (part) => has.get(part) !== undefined,
    waits: (part) => waits.get(part) !== undefined,
    put(part, bytes) {
      try {
        put.run(part, bytes);
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        throw new HubError('disk-full', "this hub's disk is full: no receipt can be kept");
      }
    },
    *waiting() {
      for (const { bytes } of waiting.iterate() as Iterable<{ bytes: Uint8Array }>) yield bytes;
    },
    settle({ number, entry, blob, parts }) {
      db.exec('BEGIN IMMEDIATE');
      try {
        for (const [i, part] of parts.entries()) mark.run(part, number, i);
        note.run(number, entry, blob);
        db.exec('COMMIT');
      } catch (error) {
        db.exec('ROLLBACK');
        throw error;
      }
    },
    partsOf: (request) =>
      (parts.all(`${request} `, `${request}!`) as { part: string; batch: number | null }[])
        .map(({ part, batch }) => ({ part: Number(part.split(' ')[1]), settled: batch !== null }))
        .sort((a, b) => a.part - b.part),
    placeOf: (part) => (place.get(part) as Place | undefined) ?? null,
    close: () => db.close(),
  };
}
