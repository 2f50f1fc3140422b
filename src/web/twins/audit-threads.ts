// In a browser the threads of an audit are Workers.
import { inlinePool, poolOf } from '../../audit/pool.ts';
import { hubBlobs } from '../../audit/public-log-http.ts';
import type { AuditReply } from '../../audit/tasks.ts';
import type * as InNode from '../../audit/threads.ts';

/** For fewer events, starting a Worker takes longer than checking them. */
const EVENTS_WORTH_A_WORKER = 300;
/** Each holds the code and a model; more than this helps only a few logs. */
const MOST_WORKERS = 8;

export const threadsFor: typeof InNode.threadsFor = (events, wanted) =>
  wanted ?? (events < EVENTS_WORTH_A_WORKER ? 0 : Math.min(MOST_WORKERS, navigator.hardwareConcurrency));

export const openAuditPool: typeof InNode.openAuditPool = async (where, threads) => {
  if (threads === 0) return inlinePool(hubBlobs(where));
  return poolOf(
    Array.from({ length: threads }, () => {
      // The hub is passed as the Worker's name. In one expression, because bundlers recognise this pattern.
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
