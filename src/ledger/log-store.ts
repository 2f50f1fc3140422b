// An append-only list of entries, durable when acknowledged: the interface, its limits, and the implementation in memory.
import { LedgerError } from './errors.ts';

/** A durable log. Every implementation passes testing/log-store-compliance.ts. */
export interface LogStore {
  /** How many entries are durable. */
  readonly size: number;
  /**
   * Appends entries, all or none, and resolves to the index of the first once they are durable. Calls keep their order: an earlier
   * call gets smaller indices and resolves earlier. Calls made close together share one commit. An empty list resolves to `size`.
   * Throws LedgerError `bad-entry`, `overloaded`, `disk-full`, `write-failed`, `closed`; a call that throws has appended nothing.
   */
  append(entries: readonly Uint8Array[]): Promise<number>;
  /** The entries [from, to). Read a long log in pages. Throws LedgerError `out-of-range` unless 0 <= from <= to <= size. */
  read(from: number, to: number): Uint8Array[];
  /** Keeps a snapshot, under a name, of what follows from the first `size` entries. The latest two of a name are kept. Durable on return. */
  putSnapshot(name: string, size: number, bytes: Uint8Array): void;
  /** The snapshots of a name, the largest size first; `bytes` is null where they are damaged. */
  snapshots(name: string): Snapshot[];
  /**
   * Keeps bytes that can be computed again from the entries (a tile of the Merkle tree). Written with the next commit, so that it
   * costs no sync of its own; a crash may lose it, but never leaves one that is ahead of the entries.
   */
  putDerived(key: string, bytes: Uint8Array): void;
  /** What putDerived kept under a key; null where there is nothing. */
  getDerived(key: string): Uint8Array | null;
  /** Commits what is waiting and releases the log. Later calls throw `closed`; closing twice is harmless. */
  close(): Promise<void>;
}

export interface Snapshot {
  readonly size: number;
  readonly bytes: Uint8Array | null;
}

/** C2SP tlog-tiles: an entry's length is sixteen bits. */
export const MAX_ENTRY_BYTES = 65_535;
/** What may wait for a commit. Beyond it `append` refuses, so that a slow disk becomes a refusal and not a full memory. */
export const MAX_WAITING_BYTES = 64 * 2 ** 20;
export const MAX_WAITING_ENTRIES = 100_000;
/** The latest snapshot may be damaged; the one before it is then used. */
export const SNAPSHOTS_KEPT = 2;

/** The total size in bytes of entries that may be appended. Throws LedgerError `bad-entry`. */
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
  return total;
}

/** Throws LedgerError `out-of-range` unless 0 <= from <= to <= size. */
export function checkRange(from: number, to: number, size: number): void {
  if (!(Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 <= from && from <= to && to <= size)) {
    throw new LedgerError('out-of-range', `expected 0 <= from <= to <= ${size}, got from ${from} to ${to}`, { size });
  }
}

/** Throws LedgerError `out-of-range` for a snapshot of entries that are not durable. */
export function checkSnapshotSize(snapshotSize: number, size: number): void {
  if (!Number.isSafeInteger(snapshotSize) || snapshotSize < 0 || snapshotSize > size) {
    throw new LedgerError('out-of-range', `a snapshot covers 0 to ${size} entries, got ${snapshotSize}`, { size });
  }
}

export function closedError(): LedgerError {
  return new LedgerError('closed', 'the log is closed');
}

/** A log in memory, for tests and the simulator: same order and limits, no durability. */
export function createMemoryLogStore(): LogStore {
  const entries: Uint8Array[] = [];
  const snapshots = new Map<string, { size: number; bytes: Uint8Array }[]>();
  const derived = new Map<string, Uint8Array>();
  let closed = false;
  const mustBeOpen = () => {
    if (closed) throw closedError();
  };
  return {
    get size() {
      return entries.length;
    },
    async append(added) {
      mustBeOpen();
      checkEntries(added);
      const first = entries.length;
      for (const entry of added) entries.push(new Uint8Array(entry));
      return first;
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
    async close() {
      closed = true;
    },
  };
}
