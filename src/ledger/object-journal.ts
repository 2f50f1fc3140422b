// A journal of objects that are created once, on any store that answers "already exists" to a second creation (S3: If-None-Match: *).
//
// Such a store may fail, answer late, or do what it was asked and lose the answer. So a creation without an answer is repeated with the
// same bytes, and where the name is taken by then, the object is read and compared.
import { LedgerError } from './errors.ts';
import {
  type Batch,
  decodeBatch,
  EMPTY_JOURNAL,
  encodeBatch,
  endAfter,
  fenced,
  type Journal,
  type JournalEnd,
  mustFollow,
  sameEnd,
} from './journal.ts';
import { equalHashes } from './merkle.ts';

/** Objects under names, created once and never changed. Both calls settle, sooner or later; a rejection says nothing about the outcome. */
export interface CreateOnlyObjects {
  /** Resolves once the object is durable, or to `exists` where another call has created an object of this name. */
  create(name: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  /** null where there is no such object. A created object is visible to everybody at once. */
  get(name: string): Promise<Uint8Array | null>;
}

export interface ObjectJournalOptions {
  readonly wait?: (ms: number) => Promise<void>;
  /**
   * How long a write without an answer is repeated, in waits; by default ten seconds, so that another writer can take over. Where there is no other,
   * longer is better: what is there decides, however late the answer comes.
   */
  readonly patience_ms?: number;
}

/** Waits between attempts, ten seconds in all; who is more patient goes on with the last. */
const RETRY_WAITS_MS = [50, 100, 200, 400, 800, 1_600, 3_200, 3_650];
const PATIENCE_MS = 10_000;
/** Names that sort in the order of their numbers: sixteen digits hold 2^53. */
const nameOf = (number: number): string => `batch/${String(number).padStart(16, '0')}`;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export function openObjectJournal(objects: CreateOnlyObjects, options: ObjectJournalOptions = {}): Journal {
  const { wait = sleep, patience_ms = PATIENCE_MS } = options;
  /** The end of the journal as this handle knows it: after its own last batch, or the last one that it read. */
  let known: JournalEnd = EMPTY_JOURNAL;

  /** Repeats `ask` until it answers. Throws LedgerError with this code where it never does; a LedgerError of `ask` is passed on. */
  const ask = async <T>(code: 'write-failed' | 'journal-unreachable', what: () => Promise<T>): Promise<T> => {
    for (let tries = 0, waited_ms = 0; ; tries++) {
      try {
        return await what();
      } catch (error) {
        if (error instanceof LedgerError) throw error;
        const wait_ms = RETRY_WAITS_MS[tries] ?? RETRY_WAITS_MS.at(-1)!;
        waited_ms += wait_ms;
        if (waited_ms > (code === 'write-failed' ? patience_ms : PATIENCE_MS)) {
          const message = `no answer from the journal in ${tries + 1} attempts: ${(error as Error).message}`;
          throw new LedgerError(code, message);
        }
        await wait(wait_ms);
      }
    }
  };

  const batchAt = async (number: number): Promise<Batch | null> => {
    const bytes = await objects.get(nameOf(number));
    if (!bytes) return null;
    try {
      return decodeBatch(bytes);
    } catch (error) {
      if (!(error instanceof LedgerError)) throw error;
      throw new LedgerError('log-corrupt', `${nameOf(number)}: ${error.message}`, { number });
    }
  };

  /** The store creates an object under any free name, so the writer itself must check that the batch follows on the journal's end. */
  const mustGoOn = async (batch: Batch): Promise<void> => {
    if (known.number !== batch.number) {
      const before = batch.number > 0 ? await ask('journal-unreachable', () => batchAt(batch.number - 1)) : null;
      known = before ? endAfter(before) : EMPTY_JOURNAL;
    }
    if (!sameEnd(known, batch)) throw fenced(batch, 'the journal has another batch before it');
  };

  return {
    async append(batch) {
      await mustGoOn(batch);
      const name = nameOf(batch.number);
      const bytes = encodeBatch(batch);
      await ask('write-failed', async () => {
        if ((await objects.create(name, bytes)) === 'created') return;
        const there = await objects.get(name);
        // The bytes are the same: an earlier attempt had created the batch, and its answer was lost.
        if (there && equalHashes(there, bytes)) return;
        if (there) throw fenced(batch, 'another batch has this number');
        throw new Error(`${name} exists and cannot be read`);
      });
      known = endAfter(batch);
    },
    async *read(number) {
      let end: JournalEnd | null = number === 0 ? EMPTY_JOURNAL : null;
      for (let next = number; ; next++) {
        const batch = await ask('journal-unreachable', () => batchAt(next));
        if (!batch) return;
        mustFollow(end ?? { ...batch, number: next }, batch);
        end = endAfter(batch);
        known = end;
        yield batch;
      }
    },
  };
}
