// A log over a journal: calls are gathered into batches, which are written one at a time. All reads use this machine's copy.
import { LedgerError } from './errors.ts';
import {
  type Batch,
  endAfter,
  fenced,
  fitsInBatch,
  type Journal,
  type JournalEnd,
  mustFollow,
  sameEnd,
} from './journal.ts';
import { journalEndOf, type LocalLog, mustBeOwn } from './local-log.ts';
import { checkEntries, closedError, type LogStore, MAX_WAITING_BYTES, MAX_WAITING_ENTRIES } from './log-store.ts';

export interface ReplicaOptions {
  /** Runs a callback after everything else of this turn of the event loop, so that calls of one turn share a batch. */
  readonly soon?: (run: () => void) => void;
}

/** A call of `append` that waits for its answer. */
interface Waiting {
  readonly entries: readonly Uint8Array[];
  readonly bytes: number;
  resolve(first: number): void;
  reject(error: unknown): void;
}

/**
 * Opens the log of a journal: reads the batches that this machine lacks, and then writes, as long as no other process does. Throws
 * LedgerError `log-rewritten` where this machine keeps entries that the journal does not have, and what journal and local log throw.
 */
export async function openReplica(local: LocalLog, journal: Journal, options?: ReplicaOptions): Promise<LogStore> {
  const log = await openFollowedLog(local, journal, options);
  log.lead();
  return log;
}

/** The log of a journal that another process writes, until this one leads: what it has is read here, and nothing can be appended. */
export interface FollowedLog extends LogStore {
  /**
   * Keeps a batch that the journal has. `known`: it is here already. `gap`: one before it is missing, which `catchUp` reads. Throws
   * LedgerError `log-rewritten` where it is the next by number and does not follow from the last one here, and what the local log throws.
   */
  take(batch: Batch): 'kept' | 'known' | 'gap';
  /**
   * Keeps what the journal has and this machine lacks; `kept` is called after each batch. Throws as the journal and `take` do: where this log
   * leads, LedgerError `fenced` if the journal has a batch that it has not written.
   */
  catchUp(kept: (batch: Batch) => void): Promise<void>;
  /** From now on this log appends, and takes nothing that others wrote. Call it when it has caught up. */
  lead(): void;
  /** Called with each batch that this log has written, before the callers of `append` get their answers. */
  onWritten(listener: (batch: Batch) => void): void;
}

/** Opens the log of a journal as its follower, with what the journal has now. Throws as openReplica does. */
export async function openFollowedLog(
  local: LocalLog,
  journal: Journal,
  options?: ReplicaOptions,
): Promise<FollowedLog> {
  let end = await catchUp(local, journal);
  let leads = false;
  /** The number of the batch that is on its way into the journal: it may be there before its writer knows. */
  let writing: number | null = null;
  const listeners: ((batch: Batch) => void)[] = [];
  const write = async (entries: readonly Uint8Array[]): Promise<void> => {
    if (!leads) throw new LedgerError('fenced', 'this log follows another process, which writes it');
    const batch: Batch = { ...end, entries };
    writing = batch.number;
    await journal.append(batch);
    keep(local, batch);
    end = endAfter(batch);
    writing = null;
    for (const listener of listeners) listener(batch);
  };
  const take = (batch: Batch): 'kept' | 'known' | 'gap' => {
    if (batch.number < end.number) return 'known';
    if (batch.number > end.number) return 'gap';
    if (leads) throw fenced(batch, 'another process has written it');
    if (!sameEnd(end, batch)) {
      const message = `batch ${batch.number} of another process does not follow from the ${end.first} entries kept here`;
      throw new LedgerError('log-rewritten', message, { number: batch.number });
    }
    local.take(batch);
    end = endAfter(batch);
    return 'kept';
  };
  const store = logOver(local, write, options);
  return Object.assign(store, {
    take,
    async catchUp(kept: (batch: Batch) => void) {
      for await (const batch of journal.read(end.number)) {
        if (batch.number === writing) return; // its own, or its writer will hear of it
        if (take(batch) === 'kept') kept(batch);
      }
    },
    lead() {
      leads = true;
    },
    onWritten: (listener: (batch: Batch) => void) => void listeners.push(listener),
  });
}

/** Keeps a batch that is in the journal. Every error becomes `write-failed`, because others may read the batch already. */
function keep(local: LocalLog, batch: Batch): void {
  try {
    local.take(batch);
  } catch (error) {
    const message = `batch ${batch.number} is in the journal, but this machine cannot keep it: ${(error as Error).message}`;
    throw new LedgerError('write-failed', message, { number: batch.number });
  }
}

/** A log that is its own journal. Throws LedgerError `store-unusable` where the file is the copy of another journal. */
export function openOwnLog(local: LocalLog, options?: ReplicaOptions): LogStore {
  mustBeOwn(local);
  return logOver(local, async (entries) => local.take({ ...local.end, prev: null, entries }), options);
}

/** Copies every batch that the journal has and this machine lacks; resolves to the end of both. */
async function catchUp(local: LocalLog, journal: Journal): Promise<JournalEnd> {
  const kept = journalEndOf(local);
  let end: JournalEnd | null = kept.number === 0 ? kept : null;
  // Starts at the last batch kept here: if the journal has another one there, or none, this is not a copy of it.
  for await (const batch of journal.read(Math.max(0, kept.number - 1))) {
    if (end) {
      mustFollow(end, batch);
      local.take(batch);
    } else if (!sameEnd(endAfter(batch), kept)) break;
    end = endAfter(batch);
  }
  if (end) return end;
  const message = `this machine keeps ${kept.first} entries in ${kept.number} batches, which are not the first ones of the journal`;
  throw new LedgerError('log-rewritten', message, { size: kept.first });
}

/** @param write makes entries durable and keeps them; every error of it except `disk-full` ends this log's writing */
function logOver(
  local: LocalLog,
  write: (entries: readonly Uint8Array[]) => Promise<void>,
  options: ReplicaOptions = {},
): LogStore {
  const soon = options.soon ?? setImmediate;
  const waiting = waitingCalls();
  /** Whether a batch is being written, or is about to be gathered. */
  let busy = false;
  let closed = false;
  let idle: (() => void) | null = null;
  /** Set after a write with unknown outcome, and by another writer: nothing may be written any more. */
  let broken: unknown = null;

  const writeNext = (): void => {
    const calls = waiting.next();
    const entries: Uint8Array[] = [];
    for (const call of calls) for (const entry of call.entries) entries.push(entry);
    let first = local.end.first;
    const written = (): void => {
      for (const call of calls) {
        call.resolve(first);
        first += call.entries.length;
      }
      goOn();
    };
    const failed = (error: unknown): void => {
      if (!(error instanceof LedgerError && error.code === 'disk-full')) broken = error;
      for (const call of calls) call.reject(error);
      goOn();
    };
    if (broken) failed(broken);
    else if (entries.length === 0) written();
    else write(entries).then(written, failed);
  };

  /** The next batch: all calls that have come by the end of this turn of the event loop. */
  const goOn = (): void => {
    busy = waiting.count > 0;
    if (busy) soon(writeNext);
    else idle?.();
  };

  const { read, putSnapshot, snapshots, putDerived, getDerived } = local;
  return {
    get size() {
      return local.end.first;
    },
    async append(entries) {
      if (closed) throw closedError();
      const bytes = checkEntries(entries);
      return new Promise<number>((resolve, reject) => {
        waiting.add({ entries: copyOf(entries, bytes), bytes, resolve, reject });
        if (!busy) goOn();
      });
    },
    ...{ read, putSnapshot, snapshots, putDerived, getDerived },
    async close() {
      if (closed) return;
      closed = true;
      if (busy) await new Promise<void>((resolve) => (idle = resolve));
      local.close();
    },
  };
}

/** The entries in one array of their own: one for each would take longer than what is done with it. */
function copyOf(entries: readonly Uint8Array[], size_bytes: number): Uint8Array[] {
  const all = new Uint8Array(size_bytes);
  let at = 0;
  return entries.map((entry) => {
    all.set(entry, at);
    at += entry.length;
    return all.subarray(at - entry.length, at);
  });
}

/** Waiting calls in order of arrival, up to the limit. */
function waitingCalls() {
  const calls: Waiting[] = [];
  let entries = 0;
  let bytes = 0;
  return {
    get count() {
      return calls.length;
    },
    /** Throws LedgerError `overloaded`. */
    add(call: Waiting): void {
      if (entries + call.entries.length > MAX_WAITING_ENTRIES || bytes + call.bytes > MAX_WAITING_BYTES) {
        const message = `${entries} entries (${bytes} bytes) already wait to be written`;
        throw new LedgerError('overloaded', message, { waiting_entries: entries, waiting_bytes: bytes });
      }
      entries += call.entries.length;
      bytes += call.bytes;
      calls.push(call);
    },
    /** Takes as many of the oldest calls as fit into a batch; each call fits by itself (checkEntries). */
    next(): readonly Waiting[] {
      let taken = calls.length;
      let [left, leftBytes] = [entries, bytes];
      // The usual case: all of them fit.
      while (taken > 1 && !fitsInBatch(left, leftBytes)) {
        taken--;
        left -= calls[taken].entries.length;
        leftBytes -= calls[taken].bytes;
      }
      entries -= left;
      bytes -= leftBytes;
      return calls.splice(0, taken);
    },
  };
}
