// The threads of an audit in Node. src/web/twins/audit-threads.ts is the same for browsers.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { openPublicBlobs } from '#public-log-open';
import { gamesOf } from '../games/game-file.ts';
import { type AuditPool, inlinePool, poolOf } from './pool.ts';

/** Below this a thread takes longer to start than the events to check. */
const EVENTS_WORTH_A_THREAD = 1500;

/** The threads that a log is worth, unless somebody says how many. */
export function threadsFor(events: number, wanted?: number): number {
  return wanted ?? (events < EVENTS_WORTH_A_THREAD ? 0 : availableParallelism());
}

/** `game_files`: games that are not of this build. 0 threads: everything happens here, in order, which is quickest for a short log. */
export async function openAuditPool(
  where: string,
  threads: number,
  game_files: readonly string[] = [],
): Promise<AuditPool> {
  const loadGame = await gamesOf({ files: game_files }); // also where threads load them: what is wrong with a file is told at once
  return threads === 0 ? inlinePool(openPublicBlobs(where), loadGame) : threadPool({ where, game_files }, threads);
}

/** What a thread is told when it starts. */
export interface ThreadData {
  readonly where: string;
  readonly game_files: readonly string[];
}

function threadPool(workerData: ThreadData, threads: number): AuditPool {
  return poolOf(
    Array.from({ length: threads }, () => {
      const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData });
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
