// Logs in memory, for tests and the simulator.
import { type BatchPlace, EMPTY_JOURNAL } from '../journal.ts';
import type { KeptBatch, LocalLog } from '../local-log.ts';
import { checkRange, checkSnapshotSize, closedError, type LogStore, SNAPSHOTS_KEPT } from '../log-store.ts';
import { openOwnLog } from '../replica.ts';

export function createMemoryLogStore(): LogStore {
  return openOwnLog(createMemoryLocalLog());
}

/** A local log with the order and the limits of the others; its entries are lost with the object. */
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
