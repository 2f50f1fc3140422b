// What a log keeps on its own machine, for synchronous reads: its batches, snapshots, and derived data that can be computed again.
import { LedgerError } from './errors.ts';
import {
  type Batch,
  type BatchPlace,
  EMPTY_JOURNAL,
  endAfter,
  fenced,
  type Journal,
  type JournalEnd,
  mustFollow,
  sameBatch,
  sameEnd,
} from './journal.ts';
import { checkRange, checkSnapshotSize, closedError, type LogStore, SNAPSHOTS_KEPT } from './log-store.ts';

/** A batch in the local log. `prev` is there only in the copy of a journal; a log of its own computes no hashes of batches. */
export interface KeptBatch extends BatchPlace {
  readonly prev: Uint8Array | null;
  readonly entries: readonly Uint8Array[];
}

/** The parts of a LogStore that need no journal, and the batches. */
export interface LocalLog extends Pick<LogStore, 'read' | 'putSnapshot' | 'snapshots' | 'putDerived' | 'getDerived'> {
  /** The end of what is kept. */
  readonly end: BatchPlace;
  /**
   * Keeps the next batch, and what putDerived was given since the last one. On return both are as durable as this implementation makes
   * them. Throws LedgerError `disk-full` (nothing of the batch is kept), `write-failed`, `closed`.
   */
  take(batch: KeptBatch): void;
  /** The batches from `number` on. Throws LedgerError `log-corrupt` where one is damaged, `closed`. */
  batches(number: number): Iterable<KeptBatch>;
  /** Writes what putDerived was given, and releases the files. Call it once. */
  close(): void;
}

/**
 * The batches kept from `number` on, in a journal's form. Where hashes are not kept, all batches before are hashed first.
 * Throws LedgerError `log-corrupt` where one does not follow from the one before.
 */
export function* batchesOf(local: LocalLog, number: number): Generator<Batch> {
  const [start] = local.batches(number);
  if (!start) return;
  let end: JournalEnd = start.prev ? { ...start, prev: start.prev } : EMPTY_JOURNAL;
  for (const kept of local.batches(end.number)) {
    const batch = { ...kept, prev: kept.prev ?? end.prev };
    mustFollow(end, batch);
    end = endAfter(batch);
    if (batch.number >= number) yield batch;
  }
}

/** The end of a local log, in a journal's form. Throws as batchesOf does. */
export function journalEndOf(local: LocalLog): JournalEnd {
  let end = EMPTY_JOURNAL;
  for (const batch of batchesOf(local, Math.max(0, local.end.number - 1))) end = endAfter(batch);
  return end;
}

/** Presents a durable local log as a journal of its own; the log may be written at the same time. */
export function ownJournal(local: LocalLog): Journal {
  let end = journalEndOf(local);
  return {
    async append(batch) {
      if (end.number !== local.end.number) end = journalEndOf(local);
      if (sameEnd(end, batch)) {
        local.take({ ...batch, prev: null });
        end = endAfter(batch);
        return;
      }
      for (const there of batchesOf(local, batch.number)) {
        if (sameBatch(there, batch)) return;
        throw fenced(batch, 'another batch has this number');
      }
      throw fenced(
        batch,
        `the log's next batch is ${end.number}, and the batch before it is not the one that this batch names`,
      );
    },
    async *read(number) {
      yield* batchesOf(local, number);
    },
  };
}

/** The copy of a journal is written only with batches of that journal. Throws LedgerError `store-unusable`. */
export function mustBeOwn(local: LocalLog): void {
  const [last] = local.batches(local.end.number - 1);
  if (last?.prev)
    throw new LedgerError(
      'store-unusable',
      'this log is the copy of a journal elsewhere, and can only be written through that journal',
    );
}

/** In memory, for tests and the simulator: the same order and limits, lost with the object. */
export function createMemoryLocalLog(): LocalLog {
  const entries: Uint8Array[] = [];
  const batches: Omit<KeptBatch, 'entries'>[] = [];
  const snapshots = new Map<string, { size: number; bytes: Uint8Array }[]>();
  const derived = new Map<string, Uint8Array>();
  let end: BatchPlace = EMPTY_JOURNAL;
  let closed = false;
  const mustBeOpen = () => {
    if (closed) throw closedError();
  };
  return {
    get end() {
      return end;
    },
    take(batch) {
      mustBeOpen();
      for (const entry of batch.entries) entries.push(new Uint8Array(entry));
      batches.push({ ...end, prev: batch.prev });
      end = { number: end.number + 1, first: entries.length };
    },
    *batches(number) {
      mustBeOpen();
      for (let at = Math.max(0, number); at < batches.length; at++) {
        yield { ...batches[at], entries: entries.slice(batches[at].first, (batches[at + 1] ?? end).first) };
      }
    },
    read(from, to) {
      mustBeOpen();
      checkRange(from, to, entries.length);
      return entries.slice(from, to).map((entry) => new Uint8Array(entry));
    },
    putSnapshot(name, size, bytes) {
      mustBeOpen();
      checkSnapshotSize(size, entries.length);
      const others = (snapshots.get(name) ?? []).filter((snapshot) => snapshot.size !== size);
      const kept = [...others, { size, bytes: new Uint8Array(bytes) }];
      kept.sort((a, b) => b.size - a.size);
      snapshots.set(name, kept.slice(0, SNAPSHOTS_KEPT));
    },
    snapshots(name) {
      mustBeOpen();
      return (snapshots.get(name) ?? []).map(({ size, bytes }) => ({ size, bytes: bytes.slice() }));
    },
    putDerived(key, bytes) {
      mustBeOpen();
      derived.set(key, new Uint8Array(bytes));
    },
    getDerived(key) {
      mustBeOpen();
      return derived.get(key)?.slice() ?? null;
    },
    close() {
      closed = true;
    },
  };
}
