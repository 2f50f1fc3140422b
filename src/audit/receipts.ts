// Receipts to check a log against: in each the hub signed "this event is in my log", so it proves an omission or a second history.
import { equalHashes } from '../ledger/merkle.ts';
import { AuditFailure } from './public-log.ts';

export interface Kept {
  readonly event: string;
  readonly file: string;
  readonly line: number;
}

/** Receipts indexed by what they are compared with. */
export interface ReceiptBook {
  readonly count: number;
  /** The number of a last line that a crash has cut short; null where there is none. */
  readonly cut_line: number | null;
  /** By the event's index in the log. */
  readonly at: Map<number, Kept[]>;
  /** The roots that the hub has signed, by the size of the tree. */
  readonly roots: Map<number, Uint8Array[]>;
}

/** Several books merged into one. */
export function joinBooks(books: readonly ReceiptBook[]): ReceiptBook {
  const at = new Map<number, Kept[]>();
  const roots = new Map<number, Uint8Array[]>();
  for (const book of books) {
    for (const [index, kept] of book.at) at.set(index, [...(at.get(index) ?? []), ...kept]);
    for (const [size, list] of book.roots) roots.set(size, [...(roots.get(size) ?? []), ...list]);
  }
  return {
    count: books.reduce((sum, { count }) => sum + count, 0),
    cut_line: books.find(({ cut_line }) => cut_line !== null)?.cut_line ?? null,
    at,
    roots,
  };
}

/** A book's receipts that concern the first `size` events. */
export function receiptsWithin(book: ReceiptBook, size: number): ReceiptBook {
  const at = new Map([...book.at].filter(([index]) => index < size));
  const count = [...at.values()].reduce((sum, kept) => sum + kept.length, 0);
  return { ...book, count, at, roots: new Map([...book.roots].filter(([other]) => other <= size)) };
}

/** Compares the event at an index with the receipts for it. Throws AuditFailure `omitted`. */
export function checkReceiptsAt(book: ReceiptBook, index: number, event: string): void {
  const other = book.at.get(index)?.find((kept) => kept.event !== event);
  if (!other) return;
  const message = `the hub signed that event ${other.event} is at ${index} (receipt ${other.line}), but there is ${event}`;
  throw new AuditFailure('omitted', message, { index, event: other.event, ...placeOf(other) });
}

/** Compares the root at a size with those that the hub has signed for it. Throws AuditFailure `diverged`. */
export function checkRootsAt(book: ReceiptBook, size: number, root: () => Uint8Array): void {
  const signed = book.roots.get(size);
  if (!signed) return;
  const computed = root();
  if (signed.every((other) => equalHashes(other, computed))) return;
  const message = `the hub signed another history of ${size} events for the holder of the receipts`;
  throw new AuditFailure('diverged', message, { index: size - 1 });
}

/** Finds receipts for more events than the log has. Throws AuditFailure `omitted`. */
export function checkReceiptsBeyond(book: ReceiptBook, size: number): void {
  const beyond = [...book.at.keys()].filter((index) => index >= size).sort((a, b) => a - b)[0];
  if (beyond === undefined) return;
  const { event, file, line } = book.at.get(beyond)![0];
  const message = `the hub signed that event ${event} is at ${beyond} (receipt ${line}), but the log ends at ${size}`;
  throw new AuditFailure('omitted', message, { index: beyond, event, ...placeOf({ file, line }) });
}

const placeOf = ({ file, line }: Pick<Kept, 'file' | 'line'>) => ({ receipt_file: file, receipt_line: line });
