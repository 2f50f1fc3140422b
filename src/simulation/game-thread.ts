// A thread of its own for a designer's game. If a call of the game never returns, the thread is ended and the error names the call.
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { CodedError } from '../errors.ts';
import { GameError } from '../games/errors.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { SimulationError } from './errors.ts';
import { lazyRuntime } from './lazy-runtime.ts';

/** The messages of such a thread: the call of the game that it begins, that no call is under way, a part of its result, and its end. */
export type FromThread<Result, Part = never> =
  | { readonly type: 'call'; readonly what: string; readonly who: string }
  | { readonly type: 'idle' }
  | { readonly type: 'part'; readonly part: Part }
  | { readonly type: 'done'; readonly result: Result }
  | { readonly type: 'failed'; readonly code: string; readonly message: string };

/** What a thread says before it calls the game for the first time. */
export const LOADING = 'loading';
/** The guard inside the thread has a shorter limit, because its error says more. */
const THREAD_PATIENCE = 1.5;
/** A game that needs more than this for a round of a few devices has a leak. */
const THREAD_MEMORY_MB = 4096;

export interface GameThread<Part> {
  /** The thread's file, which sends `FromThread` messages. */
  readonly file: URL;
  readonly job: unknown;
  /** How long one call of the game may take. */
  readonly call_ms: number;
  readonly onPart?: (part: Part) => void;
}

/**
 * Starts a thread that calls a game, and resolves with its result. Throws GameError `game-late` if a call never returns, `game-threw` if the
 * thread dies, and the errors that the thread reports, by their codes.
 */
export function askGameThread<Result, Part = never>(options: GameThread<Part>): Promise<Result> {
  const { file, job, call_ms, onPart } = options;
  const thread = new Worker(file, { workerData: job, resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY_MB } });
  let timer: NodeJS.Timeout | undefined;
  let asked = LOADING;
  const answered = new Promise<Result>((resolve, reject) => {
    const threw = (message: string): void => reject(new GameError('game-threw', `${asked}: ${message}`));
    thread.on('error', (error) => threw(error instanceof Error ? error.message : String(error)));
    thread.on('exit', (code) => threw(`the game ended its thread with code ${code}`));
    thread.on('message', (message: FromThread<Result, Part>) => {
      if (message.type === 'part') return onPart?.(message.part);
      clearTimeout(timer);
      if (message.type === 'done') return resolve(message.result);
      if (message.type === 'failed') return reject(errorOf(message.code, message.message));
      if (message.type === 'idle') return;
      asked = message.who === '' ? message.what : `${message.what} (${message.who})`;
      const limit_ms = call_ms * THREAD_PATIENCE;
      timer = setTimeout(() => {
        reject(
          new GameError('game-late', `${asked}: expected an answer within ${limit_ms} ms, the call never returns`),
        );
      }, limit_ms);
    });
  });
  return answered.finally(async () => {
    clearTimeout(timer);
    await thread.terminate();
  });
}

/** The thread's side: does its one job, and says what came of it. A coded error is reported; any other error ends the thread. */
export async function inGameThread<Job, Result, Part = never>(
  work: (job: Job, tell: (message: FromThread<Result, Part>) => void, runtime: Runtime) => Promise<Result>,
): Promise<void> {
  if (isMainThread) return;
  const tell = (message: FromThread<Result, Part>): void => parentPort!.postMessage(message);
  const runtime = lazyRuntime();
  try {
    tell({ type: 'done', result: await work(workerData as Job, tell, runtime) });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    tell({ type: 'failed', code: error.code, message: error.message });
  } finally {
    await runtime.close();
  }
}

/** An error that the thread has reported. */
function errorOf(code: string, message: string): GameError | SimulationError {
  const simulation = ['violated', 'bad-options', 'no-honest-pay'] as const;
  const own = simulation.find((known) => known === code);
  return own ? new SimulationError(own, message) : new GameError(code as GameError['code'], message);
}
