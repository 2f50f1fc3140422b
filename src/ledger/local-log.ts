// What a log keeps on its own machine, for synchronous reads: its batches, snapshots, and derived data that can be computed again.
import { LedgerError } from './errors.ts';
import { type Batch, type BatchPlace, EMPTY_JOURNAL, endAfter, type JournalEnd, mustFollow } from './journal.ts';
import type { LogStore } from './log-store.ts';

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

/** Whether this is the copy of a journal elsewhere, by the last batch; an empty log is none. */
export function isCopy(local: LocalLog): boolean {
  const [last] = local.batches(local.end.number - 1);
  return Boolean(last?.prev);
}

/** The copy of a journal is written only with batches of that journal. Throws LedgerError `store-unusable`. */
export function mustBeOwn(local: LocalLog): void {
  if (isCopy(local))
    throw new LedgerError(
      'store-unusable',
      'this log is the copy of a journal elsewhere, and can only be written through that journal',
    );
}
