// The threads of an audit in Node. src/web/twins/audit-threads.ts has those of browsers.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { openPublicBlobs } from '#public-log-open';
import { type AgreedGames, gamesOf } from '../games/game-file.ts';
import { type AuditPool, inlinePool, poolOf } from './pool.ts';

/** For fewer events, starting a thread takes longer than checking them. */
const EVENTS_WORTH_A_THREAD = 1500;

/** The number of threads for a log, unless the caller chooses one. */
export function threadsFor(events: number, wanted?: number): number {
  return wanted ?? (events < EVENTS_WORTH_A_THREAD ? 0 : availableParallelism());
}

/** `games`: games that are not built in. 0 threads: everything runs here, in order, which is fastest for a short log. */
export async function openAuditPool(
  where: string,
  threads: number,
  games: AgreedGames = { files: [] },
): Promise<AuditPool> {
  const loadGame = await gamesOf(games); // also where threads load them, so that a bad file is reported at once
  return threads === 0 ? inlinePool(openPublicBlobs(where), loadGame) : threadPool({ where, games }, threads);
}

/** The data that a thread starts with. */
export interface ThreadData {
  readonly where: string;
  readonly games: AgreedGames;
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
