// Writes what the core has let pass, in that order, many events to a commit; where there is no room on the disk it waits and tries again.
import type { LoggedEvent } from '../core/events.ts';
import { LedgerError } from '../ledger/errors.ts';
import { fitsInBatch } from '../ledger/journal.ts';
import { MAX_WAITING_BYTES, MAX_WAITING_ENTRIES } from '../ledger/log-store.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { HubError } from './errors.ts';
import type { TakenSnapshot } from './snapshots.ts';

/** The part of a log that the sequencer needs. `append` resolves when the entries, at most a batch of them, are durable. */
export interface EventLog {
  readonly size: number;
  append(entries: readonly Uint8Array[]): Promise<number>;
  read(from: number, to: number): Uint8Array[];
}

/** People who free a full disk look at once whether it helped; a try that fails costs nothing. */
const RETRY_MS = 1000;

/**
 * Whether events are taken. `disk-full`: what was applied waits for room and nothing else is taken, until a write succeeds.
 * `log-failed`: nobody knows what is on the disk before it is opened anew.
 */
export type Standing = 'taking' | 'disk-full' | 'log-failed' | 'closing';

export interface Written {
  readonly event: LoggedEvent;
  readonly index: number;
}

/** An event that the state already holds. */
interface Applied {
  readonly bytes: Uint8Array;
  readonly event: LoggedEvent;
  readonly snapshot: TakenSnapshot | null;
}

interface Waiting extends Applied {
  resolve(index: number): void;
  reject(error: unknown): void;
}

export interface LogWriter {
  readonly standing: Standing;
  onStanding(listener: (standing: Standing, error: unknown) => void): void;
  /** Resolves when `standing` changes next. */
  changed(): Promise<void>;
  /** Throws HubError with the standing's code, or `overloaded`. Ask before the state is changed. */
  mustTake(): void;
  /** Resolves with the event's index when it is durable. Rejects where it never will be: it is not in the log then. */
  append(applied: Applied): Promise<number>;
  /** Nothing is written any more, as when the log fails: what waits is rejected with `error`. */
  giveUp(error: unknown): void;
  /** Takes nothing more; resolves when what was taken is durable, or cannot be. */
  close(): Promise<void>;
}

const REFUSALS: Readonly<Record<Exclude<Standing, 'taking'>, string>> = {
  'disk-full': "this hub's disk is full: it takes nothing until there is room; send the event again later",
  'log-failed': 'this hub cannot write its log any more and ends; send the event again when it is back',
  closing: 'this hub is going down; send the event again when it is back',
};

/** @param written called for each event in the order of the log, after it is durable and before whoever appended it hears of it */
export function openWriter(log: EventLog, clock: Clock, written: (applied: Applied, index: number) => void): LogWriter {
  /** What is not durable yet, in the order of the log; its beginning is being appended. An append that fails for want of room has kept nothing. */
  let queue: Waiting[] = [];
  let waiting_bytes = 0;
  let writing: Promise<void> | null = null;
  const { current, isClosing, turn, close, ...standing } = openStanding();
  const retry = openRetry(clock);

  /** A state that ran ahead of its log is nobody's: nothing follows any more. */
  const giveUp = (error: unknown): void => {
    const lost = queue;
    queue = [];
    turn('log-failed', error);
    for (const { reject } of lost) reject(error);
  };

  const appendBatch = async (batch: readonly Waiting[]): Promise<void> => {
    const first = await log.append(batch.map(({ bytes }) => bytes));
    if (current() === 'log-failed') return; // given up meanwhile: whoever waited has been told
    turn(null, null);
    for (const [offset, applied] of batch.entries()) {
      written(applied, first + offset);
      waiting_bytes -= applied.bytes.length;
      applied.resolve(first + offset);
    }
    queue.splice(0, batch.length); // where something has thrown they are rejected, and the log is given up
  };

  const writeAll = async (): Promise<void> => {
    while (queue.length > 0) {
      try {
        await appendBatch(nextBatch(queue));
      } catch (error) {
        if (isClosing() || !isDiskFull(error)) giveUp(error);
        else {
          turn('disk-full', error);
          await retry.wait();
        }
      }
    }
    writing = null; // in the same turn as the last look at the queue: what comes from now on begins anew
  };

  return {
    get standing() {
      return current();
    },
    ...standing,
    mustTake() {
      const now = current();
      if (now !== 'taking') throw new HubError(now, REFUSALS[now]);
      if (queue.length < MAX_WAITING_ENTRIES / 2 && waiting_bytes < MAX_WAITING_BYTES / 2) return;
      throw new HubError('overloaded', `${queue.length} events already wait to be written; send it again in a moment`);
    },
    append: (applied) =>
      new Promise((resolve, reject) => {
        queue.push({ ...applied, resolve, reject });
        waiting_bytes += applied.bytes.length;
        writing ??= writeAll();
      }),
    giveUp,
    async close() {
      close();
      retry.now();
      await writing;
    },
  };
}

/** The oldest events, as many as one call of the log takes. */
function nextBatch(queue: readonly Waiting[]): readonly Waiting[] {
  let [count, bytes] = [0, 0];
  for (const applied of queue) {
    bytes += applied.bytes.length;
    if (!fitsInBatch(count + 1, bytes)) break;
    count++;
  }
  return queue.slice(0, count);
}

function isDiskFull(error: unknown): boolean {
  return error instanceof LedgerError && error.code === 'disk-full';
}

/** Whether events are taken, and who wants to hear of it. */
function openStanding() {
  let trouble: 'disk-full' | 'log-failed' | null = null;
  let closing = false;
  let changes: (() => void)[] = [];
  const listeners: ((standing: Standing, error: unknown) => void)[] = [];
  const current = (): Standing => trouble ?? (closing ? 'closing' : 'taking');
  return {
    current,
    isClosing: () => closing,
    turn(next: typeof trouble, error: unknown): void {
      if (trouble === next) return;
      trouble = next;
      const waits = changes;
      changes = [];
      for (const wake of waits) wake();
      for (const listener of listeners) listener(current(), error);
    },
    close(): void {
      closing = true;
    },
    onStanding: (listener: (standing: Standing, error: unknown) => void): void => void listeners.push(listener),
    changed: (): Promise<void> => new Promise((resolve) => void changes.push(resolve)),
  };
}

/** The wait before a write is tried again. */
function openRetry(clock: Clock): { wait(): Promise<void>; now(): void } {
  let wake = (): void => {};
  return {
    wait: () =>
      new Promise((resolve) => {
        const timer: Timer = clock.setTimeout(resolve, RETRY_MS);
        wake = () => {
          clock.clearTimeout(timer);
          resolve();
        };
      }),
    now: () => wake(),
  };
}
