// Receipts at hand: each is the hub's own signature under "this event is in my log", so an omission or a second history is proven.
import { equalHashes } from '../ledger/merkle.ts';
import { Untruth } from './public-log.ts';

export interface Kept {
  readonly event: string;
  readonly line: number;
}

/** Receipts sorted by what they are compared with. */
export interface ReceiptBook {
  readonly count: number;
  /** The number of a last line that a crash has cut short, null where there is none. */
  readonly cut_line: number | null;
  /** By the event's place in the log. */
  readonly at: Map<number, Kept[]>;
  /** The roots that the hub has signed, by the size of the tree. */
  readonly roots: Map<number, Uint8Array[]>;
}

/** Compares the event at a place with the receipts for it. Throws Untruth `omitted`. */
export function checkReceiptsAt(book: ReceiptBook, index: number, event: string): void {
  const other = book.at.get(index)?.find((kept) => kept.event !== event);
  if (!other) return;
  const message = `the hub signed that event ${other.event} is at ${index} (receipt ${other.line}), but there is ${event}`;
  throw new Untruth('omitted', message, { index, event: other.event, receipt_line: other.line });
}

/** Compares the root at a size with those that the hub has signed for it. Throws Untruth `diverged`. */
export function checkRootsAt(book: ReceiptBook, size: number, root: () => Uint8Array): void {
  const signed = book.roots.get(size);
  if (!signed) return;
  const computed = root();
  if (signed.every((other) => equalHashes(other, computed))) return;
  const message = `the hub signed another history of ${size} events for the holder of the receipts`;
  throw new Untruth('diverged', message, { index: size - 1 });
}

/** Receipts for more than the log has. Throws Untruth `omitted`. */
export function checkReceiptsBeyond(book: ReceiptBook, size: number): void {
  const beyond = [...book.at.keys()].filter((index) => index >= size).sort((a, b) => a - b)[0];
  if (beyond === undefined) return;
  const { event, line } = book.at.get(beyond)![0];
  const message = `the hub signed that event ${event} is at ${beyond} (receipt ${line}), but the log ends at ${size}`;
  throw new Untruth('omitted', message, { index: beyond, event, receipt_line: line });
}
