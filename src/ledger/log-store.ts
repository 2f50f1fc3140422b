// An append-only list of entries that are durable once acknowledged: the interface and its limits.
import { LedgerError } from './errors.ts';
import { fitsInBatch, MAX_BATCH_BYTES, MAX_BATCH_ENTRIES } from './journal.ts';

/** A durable log. Every implementation passes testing/log-store-compliance.ts. */
export interface LogStore {
  /** How many entries are durable. */
  readonly size: number;
  /**
   * Appends entries, all or none, and resolves to the index of the first once they are durable. Calls keep their order: an earlier call
   * gets smaller indices and resolves earlier. Calls made close together share one commit. An empty list resolves to `size`. The entries of
   * one call must fit into a batch (journal.ts). Throws LedgerError `bad-entry`, `too-many`, `overloaded`, `disk-full`, `closed`; the call
   * has then appended nothing. After `fenced` and `write-failed` the log must be opened anew, and only then is the call's outcome known.
   */
  append(entries: readonly Uint8Array[]): Promise<number>;
  /** The entries [from, to). Read a long log in pages. Throws LedgerError `out-of-range` unless 0 <= from <= to <= size. */
  read(from: number, to: number): Uint8Array[];
  /** Keeps a snapshot, under a name, of data computed from the first `size` entries. Each name keeps its latest two. Durable on return. */
  putSnapshot(name: string, size: number, bytes: Uint8Array): void;
  /** The snapshots of a name, the largest size first; `bytes` is null for a damaged one. */
  snapshots(name: string): Snapshot[];
  /**
   * Keeps bytes that can be computed again from the entries (a tile of the Merkle tree). They are written with the next commit, so they
   * cost no sync of their own. A crash may lose them, but never leaves them ahead of the entries.
   */
  putDerived(key: string, bytes: Uint8Array): void;
  /** What putDerived kept under a key; null where there is nothing. */
  getDerived(key: string): Uint8Array | null;
  /** Commits what is waiting and releases the log. Later calls throw `closed`; closing twice does no harm. */
  close(): Promise<void>;
}

export interface Snapshot {
  readonly size: number;
  readonly bytes: Uint8Array | null;
}

/** C2SP tlog-tiles stores an entry's length in sixteen bits. */
export const MAX_ENTRY_BYTES = 65_535;
/** How much may wait for a commit. Beyond it `append` refuses, so that a slow disk does not fill the memory. */
export const MAX_WAITING_BYTES = 64 * 2 ** 20;
export const MAX_WAITING_ENTRIES = 100_000;
/** If the latest snapshot is damaged, the one before it is used. */
export const SNAPSHOTS_KEPT = 2;

/** The total size in bytes of a call's entries. Throws LedgerError `bad-entry`, `too-many` for what one call may not append. */
export function checkEntries(entries: readonly Uint8Array[]): number {
  let total = 0;
  entries.forEach((entry, i) => {
    if (!(entry instanceof Uint8Array) || entry.length === 0 || entry.length > MAX_ENTRY_BYTES) {
      const got = entry instanceof Uint8Array ? `${entry.length} bytes` : typeof entry;
      throw new LedgerError(
        'bad-entry',
        `an entry has 1 to ${MAX_ENTRY_BYTES} bytes, entry ${i} of the call has ${got}`,
      );
    }
    total += entry.length;
  });
  if (!fitsInBatch(entries.length, total)) {
    const limits = `${MAX_BATCH_ENTRIES} entries and ${MAX_BATCH_BYTES} bytes`;
    throw new LedgerError('too-many', `one call appends at most ${limits}, got ${entries.length} and ${total}`);
  }
  return total;
}

/** Throws LedgerError `out-of-range` unless 0 <= from <= to <= size. */
export function checkRange(from: number, to: number, size: number): void {
  if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 <= from && from <= to && to <= size)) {
    throw new LedgerError('out-of-range', `expected 0 <= from <= to <= ${size}, got from ${from} to ${to}`, { size });
  }
}

/** Throws LedgerError `out-of-range` for a snapshot of entries that are not durable yet. */
export function checkSnapshotSize(snapshotSize: number, size: number): void {
  if (!Number.isSafeInteger(snapshotSize) || snapshotSize < 0 || snapshotSize > size) {
    throw new LedgerError('out-of-range', `a snapshot covers 0 to ${size} entries, got ${snapshotSize}`, { size });
  }
}

export function closedError(): LedgerError {
  return new LedgerError('closed', 'the log is closed');
}
