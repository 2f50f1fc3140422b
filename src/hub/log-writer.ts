// Writes what the core has let pass, in that order, many events to a commit; where there is no room on the disk it waits and tries again.
import type { LoggedEvent } from '../core/events.ts';
import { LedgerError } from '../ledger/errors.ts';
import { MAX_WAITING_BYTES, MAX_WAITING_ENTRIES } from '../ledger/log-store.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { HubError } from './errors.ts';
import type { TakenSnapshot } from './snapshots.ts';

/** The part of a log that the sequencer needs. `append` resolves when the entries are durable. */
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
  /** What is being appended, and what comes after it. An append that fails has kept nothing, so that it can be made again. */
  let batch: Waiting[] = [];
  let queue: Waiting[] = [];
  let waiting_bytes = 0;
  let writing: Promise<void> | null = null;
  let trouble: 'disk-full' | 'log-failed' | null = null;
  let closing = false;
  let retry: Timer;
  let tryAgain = (): void => {};
  let changes: (() => void)[] = [];
  const listeners: ((standing: Standing, error: unknown) => void)[] = [];

  const standing = (): Standing => trouble ?? (closing ? 'closing' : 'taking');

  const turn = (next: typeof trouble, error: unknown): void => {
    if (trouble === next) return;
    trouble = next;
    const waits = changes;
    changes = [];
    for (const wake of waits) wake();
    for (const listener of listeners) listener(standing(), error);
  };

  /** A state that ran ahead of its log is nobody's: nothing follows any more. */
  const giveUp = (error: unknown): void => {
    const lost = [...batch, ...queue];
    batch = [];
    queue = [];
    turn('log-failed', error);
    for (const { reject } of lost) reject(error);
  };

  const untilRetry = (): Promise<void> =>
    new Promise((resolve) => {
      tryAgain = () => {
        clock.clearTimeout(retry);
        resolve();
      };
      retry = clock.setTimeout(resolve, RETRY_MS);
    });

  const appendBatch = async (): Promise<void> => {
    const first = await log.append(batch.map(({ bytes }) => bytes));
    turn(null, null);
    for (const [offset, applied] of batch.entries()) {
      written(applied, first + offset);
      waiting_bytes -= applied.bytes.length;
      applied.resolve(first + offset);
    }
    batch = [];
  };

  const writeAll = async (): Promise<void> => {
    while (batch.length + queue.length > 0) {
      batch = [...batch, ...queue];
      queue = [];
      try {
        await appendBatch();
      } catch (error) {
        const full = error instanceof LedgerError && error.code === 'disk-full';
        if (!full || closing) {
          giveUp(error);
          break;
        }
        turn('disk-full', error);
        await untilRetry();
      }
    }
    writing = null; // in the same turn as the last look at the queue: what comes from now on begins anew
  };

  return {
    get standing() {
      return standing();
    },
    onStanding: (listener) => void listeners.push(listener),
    changed: () => new Promise((resolve) => void changes.push(resolve)),
    mustTake() {
      const now = standing();
      if (now !== 'taking') throw new HubError(now, REFUSALS[now]);
      const count = batch.length + queue.length;
      if (count < MAX_WAITING_ENTRIES / 2 && waiting_bytes < MAX_WAITING_BYTES / 2) return;
      throw new HubError('overloaded', `${count} events already wait to be written; send it again in a moment`);
    },
    append: (applied) =>
      new Promise((resolve, reject) => {
        queue.push({ ...applied, resolve, reject });
        waiting_bytes += applied.bytes.length;
        writing ??= writeAll();
      }),
    giveUp,
    async close() {
      closing = true;
      tryAgain();
      await writing;
    },
  };
}
