// The threads of an audit: events go to whoever is free, a run's models always to the thread that holds its model.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type AuditPool, inlinePool } from './audit-pool.ts';
import type { AuditReply, AuditTask } from './audit-tasks.ts';
import { openPublicBlobs } from './public-log-open.ts';

interface Waiting {
  readonly task: AuditTask;
  readonly resolve: (reply: AuditReply) => void;
  readonly reject: (error: unknown) => void;
}

/** Below this a thread takes longer to start than the events to check. */
const EVENTS_WORTH_A_THREAD = 1500;

/** The threads that a log is worth, unless somebody says how many. */
export function threadsFor(events: number, wanted?: number): number {
  return wanted ?? (events < EVENTS_WORTH_A_THREAD ? 0 : availableParallelism());
}

/** 0 threads: everything happens here, in order, which is quickest for a short log. */
export function openAuditPool(where: string, threads: number): AuditPool {
  return threads === 0 ? inlinePool(openPublicBlobs(where)) : threadPool(where, threads);
}

function threadPool(where: string, threads: number): AuditPool {
  const shared: Waiting[] = [];
  const seats = Array.from({ length: threads }, () => ({
    worker: new Worker(new URL('./audit-worker.ts', import.meta.url), { workerData: { where } }),
    own: [] as Waiting[],
    doing: null as Waiting | null,
  }));
  let failure: Error | null = null;

  const fail = (error: Error): void => {
    failure ??= error;
    for (const waiting of [...shared.splice(0), ...seats.flatMap(({ own, doing }) => [...own.splice(0), doing])]) {
      waiting?.reject(failure);
    }
  };
  const dispatch = (): void => {
    for (const seat of seats) {
      if (seat.doing) continue;
      seat.doing = seat.own.shift() ?? shared.shift() ?? null;
      if (seat.doing) seat.worker.postMessage(seat.doing.task);
    }
  };
  for (const seat of seats) {
    seat.worker.on('message', (reply: AuditReply) => {
      const done = seat.doing;
      seat.doing = null;
      dispatch();
      done?.resolve(reply);
    });
    seat.worker.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  }

  return {
    threads,
    run: (task, key) =>
      new Promise((resolve, reject) => {
        if (failure) {
          reject(failure);
          return;
        }
        const queue = key === undefined ? shared : seats[key % threads].own;
        queue.push({ task, resolve, reject });
        dispatch();
      }),
    async close() {
      await Promise.all(seats.map(({ worker }) => worker.terminate()));
    },
  };
}
