// The threads of an audit in Node. src/web/twins/audit-threads.ts is the same for browsers.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { type AuditPool, inlinePool, poolOf } from './audit-pool.ts';
import { openPublicBlobs } from './public-log-open.ts';

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
  return poolOf(
    Array.from({ length: threads }, () => {
      const worker = new Worker(new URL('./audit-worker.ts', import.meta.url), { workerData: { where } });
      return {
        post: (task) => worker.postMessage(task),
        listen(onReply, onError) {
          worker.on('message', onReply);
          worker.on('error', (error) => onError(error instanceof Error ? error : new Error(String(error))));
        },
        end: () => worker.terminate(),
      };
    }),
  );
}
