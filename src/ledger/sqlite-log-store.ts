// A log on this machine in one SQLite file: either its own journal, or the copy of a journal elsewhere.
import { sha256 } from '../protocol/hash.ts';
import { LedgerError } from './errors.ts';
import type { DividedLog } from './into-journal.ts';
import { type BatchPlace, EMPTY_JOURNAL } from './journal.ts';
import type { KeptBatch } from './local-log.ts';
import { checkRange, checkSnapshotSize, closedError, type LogStore, SNAPSHOTS_KEPT } from './log-store.ts';
import { openOwnLog } from './replica.ts';
import { type LogFile, openLogFile } from './sqlite-log-file.ts';

/** The log in a file. Throws as openLogFile does. */
export function openSqliteLogStore(path: string): LogStore {
  const local = openSqliteLocalLog(path);
  try {
    return openOwnLog(local);
  } catch (error) {
    local.close();
    throw error;
  }
}

/** The file as a local log, where what was kept is on the disk on return, but for a copy, which may lose its end. Throws as openLogFile does. */
export function openSqliteLocalLog(path: string, kind: 'own' | 'copy' = 'own'): DividedLog {
  const file = openLogFile(path, kind);
  try {
    return localLog(file);
  } catch (error) {
    file.db.close();
    throw error;
  }
}

function localLog(file: LogFile): DividedLog {
  const { db, path } = file;
  const insertEntry = db.prepare('INSERT INTO entries (idx, bytes) VALUES (?, ?)');
  const insertFirst = db.prepare('INSERT INTO entries (idx, bytes, batch, prev) VALUES (?, ?, ?, ?)');
  const insertDerived = db.prepare('INSERT OR REPLACE INTO derived (key, bytes) VALUES (?, ?)');
  const selectEntries = db.prepare('SELECT bytes FROM entries WHERE idx >= ? AND idx < ? ORDER BY idx');
  const selectDerived = db.prepare('SELECT bytes FROM derived WHERE key = ?');
  const insertSnapshot = db.prepare('INSERT OR REPLACE INTO snapshots (name, size, hash, bytes) VALUES (?, ?, ?, ?)');
  const selectSnapshots = db.prepare('SELECT size, hash, bytes FROM snapshots WHERE name = ? ORDER BY size DESC');
  const dropSnapshots = db.prepare(
    `DELETE FROM snapshots WHERE name = ?1 AND size NOT IN
       (SELECT size FROM snapshots WHERE name = ?1 ORDER BY size DESC LIMIT ${SNAPSHOTS_KEPT})`,
  );
  const undivide = db.prepare('UPDATE entries SET batch = NULL, prev = NULL WHERE batch IS NOT NULL');
  const beginBatch = db.prepare('UPDATE entries SET batch = ?, prev = ? WHERE idx = ?');
  const batches = batchesOf(file);

  let end = batches.end();
  let derivedWaiting = new Map<string, Uint8Array>();
  let closed = false;
  const mustBeOpen = () => {
    if (closed) throw closedError();
  };

  const writeDerived = (): void => {
    for (const [key, bytes] of derivedWaiting) insertDerived.run(key, bytes);
  };

  return {
    get end() {
      return end;
    },
    take(batch) {
      mustBeOpen();
      file.transaction(() => {
        const { number, first, prev, entries } = batch;
        insertFirst.run(first, entries[0], number, prev);
        for (let i = 1; i < entries.length; i++) insertEntry.run(first + i, entries[i]);
        writeDerived();
      });
      derivedWaiting = new Map();
      end = { number: batch.number + 1, first: batch.first + batch.entries.length };
    },
    becomeCopy(divided) {
      mustBeOpen();
      file.transaction(() => {
        undivide.run();
        for (const { number, first, prev } of divided) beginBatch.run(number, prev, first);
      });
      end = batches.end();
    },
    *batches(number) {
      mustBeOpen();
      yield* batches.from(number, end);
    },
    read(from, to) {
      mustBeOpen();
      checkRange(from, to, end.first);
      const rows = file.query(() => selectEntries.all(from, to)) as { bytes: Uint8Array }[];
      if (rows.length !== to - from) {
        const message = `${path}: expected ${to - from} entries from ${from}, found ${rows.length}`;
        throw new LedgerError('log-corrupt', message, { path });
      }
      return rows.map((row) => row.bytes);
    },
    putSnapshot(name, size, bytes) {
      mustBeOpen();
      checkSnapshotSize(size, end.first);
      file.transaction(() => {
        insertSnapshot.run(name, size, sha256(bytes), bytes);
        dropSnapshots.run(name);
      });
    },
    snapshots(name) {
      mustBeOpen();
      const rows = file.query(() => selectSnapshots.all(name)) as {
        size: number;
        hash: Uint8Array;
        bytes: Uint8Array;
      }[];
      return rows.map((row) => {
        const intact = row.size <= end.first && Buffer.from(sha256(row.bytes)).equals(row.hash);
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
      const row = file.query(() => selectDerived.get(key)) as { bytes: Uint8Array } | undefined;
      return row?.bytes ?? null;
    },
    close() {
      closed = true;
      try {
        if (derivedWaiting.size > 0) file.transaction(writeDerived);
      } catch (error) {
        // Derived bytes can be computed again, so a failure to write them does no harm.
        if (!(error instanceof LedgerError)) throw error;
      }
      db.close();
    },
  };
}

interface Row {
  readonly idx: number;
  readonly bytes: Uint8Array;
  readonly batch: number | null;
  readonly prev: Uint8Array | null;
}

/** How many rows are read at once, so that no cursor stays open while the reader works on a batch. */
const PAGE = 1_000;

interface BatchReader {
  /** The end after the last batch. */
  end(): BatchPlace;
  /** The batches from `number` on that lie before `end`. */
  from(number: number, end: BatchPlace): Iterable<KeptBatch>;
}

/** Groups entries into the batches in which they were written. Throws LedgerError `log-corrupt` where one is missing. */
function batchesOf({ db, path, query }: LogFile): BatchReader {
  const selectRows = db.prepare('SELECT idx, bytes, batch, prev FROM entries WHERE idx >= ? ORDER BY idx LIMIT ?');
  const selectLast = db.prepare('SELECT max(idx) AS idx FROM entries');
  const selectFirst = db.prepare(
    'SELECT idx, batch FROM entries WHERE idx <= ? AND batch IS NOT NULL ORDER BY idx DESC LIMIT 1',
  );
  /** The number of the batch that holds an entry, and its first entry. */
  const firstBefore = (idx: number) =>
    query(() => selectFirst.get(idx)) as { readonly idx: number; readonly batch: number } | undefined;

  function* startingAt(first: number): Generator<KeptBatch> {
    let [batch, entries]: [KeptBatch | null, Uint8Array[]] = [null, []];
    let next = first;
    for (let rows = [] as Row[], full = true; full; full = rows.length === PAGE) {
      rows = query(() => selectRows.all(next, PAGE)) as unknown as Row[];
      for (const { idx, bytes, batch: number, prev } of rows) {
        if (idx !== next++ || (number === null && !batch)) {
          throw new LedgerError('log-corrupt', `${path}: expected entry ${next - 1} of a batch, got ${idx}`, { path });
        }
        if (number !== null) {
          if (batch) yield batch;
          entries = [];
          batch = { number, first: idx, prev, entries };
        }
        entries.push(bytes);
      }
    }
    if (batch) yield batch;
  }

  return {
    end() {
      const { idx } = query(() => selectLast.get()) as { idx: number | null };
      return idx === null ? EMPTY_JOURNAL : { number: (firstBefore(idx)?.batch ?? 0) + 1, first: idx + 1 };
    },
    *from(number, end) {
      if (number >= end.number) return;
      // Usually the last batch is asked for; otherwise the last entry of the batch is searched for.
      let [low, high] = [number === end.number - 1 ? end.first - 1 : 0, end.first - 1];
      while (low < high) {
        const middle = Math.ceil((low + high) / 2);
        if ((firstBefore(middle)?.batch ?? 0) > number) high = middle - 1;
        else low = middle;
      }
      yield* startingAt(firstBefore(low)?.idx ?? 0);
    },
  };
}
