// Writes the events that the core has accepted, in order, many to a commit. If the disk is full, it waits and tries again.
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

/** The wait after a full disk: people who free space want to see the effect soon, and a failed try costs nothing. */
const RETRY_MS = 1000;

/**
 * Whether events are taken. `disk-full`: applied events wait for space and no others are taken, until a write succeeds.
 * `log-failed`: the content of the disk is unknown until the log is opened anew.
 */
export type Standing = 'taking' | 'disk-full' | 'log-failed' | 'closing';

export interface Written {
  readonly event: LoggedEvent;
  readonly index: number;
}

/** An event that the state already contains. */
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
  /** Resolves at the next change of `standing`. */
  changed(): Promise<void>;
  /** Throws HubError with the standing's code, or `overloaded`. Call it before the state is changed. */
  mustTake(): void;
  /** Resolves to the event's index when it is durable. Rejects where it never will be; it is then not in the log. */
  append(applied: Applied): Promise<number>;
  /** Stops writing, as when the log fails: waiting events are rejected with `error`. */
  giveUp(error: unknown): void;
  /** Takes nothing more; resolves when everything taken is durable, or cannot be. */
  close(): Promise<void>;
}

const REFUSALS: Readonly<Record<Exclude<Standing, 'taking'>, string>> = {
  'disk-full': "this hub's disk is full: it takes nothing until there is room; send the event again later",
  'log-failed': 'this hub can no longer write its log and ends; send the event again when it is back',
  closing: 'this hub is going down; send the event again when it is back',
};

/** @param written called for each event in log order, after it is durable and before the caller of `append` gets its answer */
export function openWriter(log: EventLog, clock: Clock, written: (applied: Applied, index: number) => void): LogWriter {
  /** Events that are not durable yet, in log order; the first ones are being appended. An append that fails for lack of space has kept nothing. */
  let queue: Waiting[] = [];
  let waiting_bytes = 0;
  let writing: Promise<void> | null = null;
  const { current, isClosing, turn, close, ...standing } = openStanding();
  const retry = openRetry(clock);

  /** A state that is ahead of its log is invalid, so nothing may follow. */
  const giveUp = (error: unknown): void => {
    const lost = queue;
    queue = [];
    turn('log-failed', error);
    for (const { reject } of lost) reject(error);
  };

  const appendBatch = async (batch: readonly Waiting[]): Promise<void> => {
    const first = await log.append(batch.map(({ bytes }) => bytes));
    if (current() === 'log-failed') return; // given up meanwhile, and the waiting callers have been told
    turn(null, null);
    for (const [offset, applied] of batch.entries()) {
      written(applied, first + offset);
      waiting_bytes -= applied.bytes.length;
      applied.resolve(first + offset);
    }
    queue.splice(0, batch.length); // if something throws here, they are rejected and the log is given up
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
    writing = null; // in the same turn as the last check of the queue, so that a later event starts a new write
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

/** Whether events are taken, and who waits for a change. */
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
