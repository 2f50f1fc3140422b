// A journal makes a log durable: batches of entries, each created once under its number and never changed (decision 0024).
//
// Creating a batch gives fencing and durability in one request: of two writers that create the same number one succeeds, and the other
// learns that it lost. Each batch names the hash of the one before, so the batches form one chain, whoever wrote them.
import { sha256 } from '../protocol/hash.ts';
import { LedgerError } from './errors.ts';
import { equalHashes, HASH_BYTES } from './merkle.ts';
import { decodeEntryBundle, encodeEntryBundle } from './tiles.ts';

/** The position of a batch. For the end of a log it is the position of the next batch. */
export interface BatchPlace {
  /** 0 for the first batch of a journal. */
  readonly number: number;
  /** The index in the log of its first entry, which is the number of entries before it. */
  readonly first: number;
}

/** The end of a journal: what the next batch must name. */
export interface JournalEnd extends BatchPlace {
  /** The hash of the batch before (hashOfBatch); 32 zero bytes before the first. */
  readonly prev: Uint8Array;
}

/** At least one entry, within MAX_BATCH_ENTRIES and MAX_BATCH_BYTES. */
export interface Batch extends JournalEnd {
  readonly entries: readonly Uint8Array[];
}

/** A durable sequence of batches. Every implementation passes testing/journal-compliance.ts. */
export interface Journal {
  /**
   * Creates a batch. Resolves once it is durable, also where the same bytes were there already (an earlier answer was lost). Throws
   * LedgerError `fenced` where another batch has this number or the one before is not the one that this names: another process writes the
   * log, and the caller must stop writing. `disk-full`: nothing was kept, the call may be repeated. `write-failed`: the outcome is unknown
   * until the journal is read.
   */
  append(batch: Batch): Promise<void>;
  /**
   * The batches from `number` on, in order, up to the end at the time of each request. Throws LedgerError `log-corrupt` where a batch
   * cannot be read or does not follow from the one before, and `journal-unreachable`.
   */
  read(number: number): AsyncIterable<Batch>;
}

/** The next batch waits until this one is written, so the limits bound that wait, and the memory of a reader. */
export const MAX_BATCH_ENTRIES = 10_000;
export const MAX_BATCH_BYTES = 4 * 2 ** 20;

export const EMPTY_JOURNAL: JournalEnd = { number: 0, first: 0, prev: new Uint8Array(HASH_BYTES) };

/** The end of a journal after this batch. */
export function endAfter(batch: Batch): JournalEnd {
  return { number: batch.number + 1, first: batch.first + batch.entries.length, prev: hashOfBatch(batch) };
}

/** Whether two ends are the same position in the same journal. */
export function sameEnd(a: JournalEnd, b: JournalEnd): boolean {
  return a.number === b.number && a.first === b.first && equalHashes(a.prev, b.prev);
}

/** Throws LedgerError `log-corrupt` unless this batch follows directly on this end of a journal. */
export function mustFollow(end: JournalEnd, batch: Batch): void {
  if (sameEnd(end, batch)) return;
  const message = `batch ${batch.number} (first entry ${batch.first}) does not follow from the batch before, which calls for batch ${end.number} (first entry ${end.first})`;
  throw new LedgerError('log-corrupt', message, { number: batch.number });
}

export function hashOfBatch(batch: Batch): Uint8Array {
  const known = formOf(batch);
  known.hash ??= sha256(known.bytes);
  return known.hash;
}

/** What was computed of batches that somebody still has: who writes one, keeps it and sends it round asks four times, who reads one twice. */
const forms = new WeakMap<Batch, { readonly bytes: Uint8Array; hash?: Uint8Array }>();

function formOf(batch: Batch): { readonly bytes: Uint8Array; hash?: Uint8Array } {
  let form = forms.get(batch);
  if (!form) {
    form = { bytes: encoded(batch) };
    forms.set(batch, form);
  }
  return form;
}

/** "PtB" and the version of the encoding. */
const MAGIC = 0x50744201;
const HEADER_BYTES = 4 + 8 + 8 + 4 + HASH_BYTES;
/** A bundle has a length of two bytes before each entry. */
const MAX_ENCODED_BYTES = HEADER_BYTES + MAX_BATCH_BYTES + 2 * MAX_BATCH_ENTRIES;

/** The canonical bytes of a batch, which must not be changed: magic, number, index of the first entry, count, hash of the batch before, entries as in a C2SP bundle. */
export const encodeBatch = (batch: Batch): Uint8Array => formOf(batch).bytes;

function encoded(batch: Batch): Uint8Array {
  const bytes = encodeEntryBundle(batch.entries, HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  setUint64(view, 4, batch.number);
  setUint64(view, 12, batch.first);
  view.setUint32(20, batch.entries.length);
  bytes.set(batch.prev, 24);
  return bytes;
}

/** Decodes a batch; the bytes must not be changed afterwards. Throws LedgerError `malformed` for bytes that encodeBatch did not write. */
export function decodeBatch(bytes: Uint8Array): Batch {
  if (bytes.length <= HEADER_BYTES || bytes.length > MAX_ENCODED_BYTES) {
    throw malformed(`expected ${HEADER_BYTES} to ${MAX_ENCODED_BYTES} bytes, got ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0) !== MAGIC) throw malformed(`expected the first four bytes to be 0x${MAGIC.toString(16)}`);
  const [number, first] = [Number(view.getBigUint64(4)), Number(view.getBigUint64(12))];
  const count = view.getUint32(20);
  if (!Number.isSafeInteger(number) || !Number.isSafeInteger(first) || count === 0 || count > MAX_BATCH_ENTRIES) {
    throw malformed(`got number ${number}, first entry ${first}, ${count} entries`);
  }
  const entries = decodeEntryBundle(bytes.subarray(HEADER_BYTES), count);
  if (entries.some((entry) => entry.length === 0)) throw malformed('an entry is empty');
  const batch = { number, first, prev: bytes.slice(24, HEADER_BYTES), entries };
  forms.set(batch, { bytes }); // a batch has one encoding
  return batch;
}

/** Whether this many entries of this total size fit into one batch. */
export function fitsInBatch(entries: number, bytes: number): boolean {
  return entries <= MAX_BATCH_ENTRIES && bytes <= MAX_BATCH_BYTES;
}

/** The error of a writer that may not write any more. */
export function fenced(batch: Batch, why: string): LedgerError {
  const message = `batch ${batch.number} cannot be written: ${why}; another process writes this log`;
  return new LedgerError('fenced', message, { number: batch.number });
}

/** Whether two batches have the same bytes. */
export function sameBatch(a: Batch, b: Batch): boolean {
  return equalHashes(hashOfBatch(a), hashOfBatch(b));
}

function setUint64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / 2 ** 32));
  view.setUint32(at + 4, value % 2 ** 32);
}

function malformed(what: string): LedgerError {
  return new LedgerError('malformed', `batch of a journal: ${what}`);
}
