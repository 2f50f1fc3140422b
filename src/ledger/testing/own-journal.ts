// A local log as a journal, so that the compliance suite of journals tests what SQLite keeps.
import { endAfter, fenced, type Journal, sameBatch, sameEnd } from '../journal.ts';
import { batchesOf, journalEndOf, type LocalLog } from '../local-log.ts';

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
