// A log that was its own journal moves into a journal elsewhere, in as few batches as hold it, and is that journal's copy from then on.

import { LedgerError } from './errors.ts';
import {
  type Batch,
  EMPTY_JOURNAL,
  endAfter,
  fitsInBatch,
  type Journal,
  type JournalEnd,
  MAX_BATCH_ENTRIES,
} from './journal.ts';
import type { LocalLog } from './local-log.ts';

/** A local log whose batches can be divided anew. */
export interface DividedLog extends LocalLog {
  /** From now on this is the copy of a journal with these batches, of the same entries. All of it is on the disk on return, or nothing. */
  becomeCopy(batches: readonly JournalEnd[]): void;
}

/**
 * Appends to a journal what it lacks of a log, then makes the log its copy. Where it breaks off, the log is what it was, and the next call goes on.
 * Throws LedgerError `log-rewritten` where the journal has what the log has not, and what `append` and `read` of the journal throw.
 * @param onMoved hears how many entries the journal has
 */
export async function moveIntoJournal(
  local: DividedLog,
  journal: Journal,
  onMoved: (entries: number) => void = () => {},
): Promise<void> {
  const batches: JournalEnd[] = [];
  let end = EMPTY_JOURNAL;
  const moved = (batch: Batch): void => {
    batches.push({ number: batch.number, first: batch.first, prev: batch.prev });
    end = endAfter(batch);
    onMoved(end.first);
  };
  for await (const batch of journal.read(0)) {
    mustHave(local, batch);
    moved(batch);
  }
  while (end.first < local.end.first) {
    const batch = { ...end, entries: batchFrom(local, end.first) };
    await journal.append(batch);
    moved(batch);
  }
  local.becomeCopy(batches);
}

/** As many entries as fit into a batch. */
function batchFrom(local: LocalLog, first: number): Uint8Array[] {
  const entries = local.read(first, Math.min(first + MAX_BATCH_ENTRIES, local.end.first));
  let [count, size_bytes] = [0, 0];
  while (count < entries.length && fitsInBatch(count + 1, size_bytes + entries[count].length)) {
    size_bytes += entries[count++].length;
  }
  return entries.slice(0, count);
}

/** Throws LedgerError `log-rewritten` unless the log has these entries. */
function mustHave(local: LocalLog, { number, first, entries }: Batch): void {
  const last = first + entries.length;
  const own = last <= local.end.first ? local.read(first, last) : [];
  if (own.length === entries.length && own.every((entry, i) => Buffer.compare(entry, entries[i]) === 0)) return;
  const message = `batch ${number} of the journal (entries ${first} to ${last - 1}) is not what this machine keeps there, of ${local.end.first} entries`;
  throw new LedgerError('log-rewritten', message, { number });
}
