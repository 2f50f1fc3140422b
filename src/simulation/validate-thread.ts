// The thread in which a game is validated: whatever a designer's game does in it, it can be ended from outside.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { CodedError } from '../errors.ts';
import { type FromThread, LOADING } from './game-thread.ts';
import { lazyRuntime } from './lazy-runtime.ts';
import { setUpGame } from './play-setup.ts';
import { type Check, validateGame } from './validate.ts';
import type { ValidateJob } from './validate-job.ts';

const tell = (message: FromThread<string, Check>): void => parentPort!.postMessage(message);

async function validate({ game, settings, call_ms }: ValidateJob): Promise<void> {
  const runtime = lazyRuntime();
  const begins = (what: string): void => tell({ type: 'call', what, who: '' });
  try {
    begins(LOADING);
    const setup = await setUpGame(game, settings, { perform_ms: call_ms, stop_ms: call_ms, check_ms: call_ms });
    await validateGame({ setup, runtime, call_ms, begins, tell: (part) => tell({ type: 'part', part }) });
    tell({ type: 'done', result: setup.game.name });
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    tell({ type: 'failed', code: error.code, message: error.message });
  } finally {
    await runtime.close();
  }
}

if (!isMainThread) await validate(workerData as ValidateJob);
