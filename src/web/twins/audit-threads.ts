// In a browser: an audit's threads are Workers.
import { inlinePool, poolOf } from '../../audit/pool.ts';
import { hubBlobs } from '../../audit/public-log-http.ts';
import type { AuditReply } from '../../audit/tasks.ts';
import type * as InNode from '../../audit/threads.ts';

/** Below this a Worker takes longer to start than the events to check. */
const EVENTS_WORTH_A_WORKER = 300;
/** Each holds the code and a model; more than this helps few logs. */
const MOST_WORKERS = 8;

export const threadsFor: typeof InNode.threadsFor = (events, wanted) =>
  wanted ?? (events < EVENTS_WORTH_A_WORKER ? 0 : Math.min(MOST_WORKERS, navigator.hardwareConcurrency));

export const openAuditPool: typeof InNode.openAuditPool = async (where, threads) => {
  if (threads === 0) return inlinePool(hubBlobs(where));
  return poolOf(
    Array.from({ length: threads }, () => {
      // Its hub comes as the Worker's name. Written in one expression, because bundlers look for this pattern.
      const worker = new Worker(new URL('./audit-thread.ts', import.meta.url), { type: 'module', name: where });
      return {
        post: (task) => worker.postMessage(task),
        listen(onReply, onError) {
          worker.onmessage = ({ data }: MessageEvent<AuditReply>) => onReply(data);
          worker.onerror = (event) => onError(new Error(event.message || 'a Worker of the audit could not be started'));
        },
        end: () => worker.terminate(),
      };
    }),
  );
};
