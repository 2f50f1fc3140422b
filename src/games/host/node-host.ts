// A game's file in a thread of its own, on Node: with the rights of its user, whose decision it was to name the file, but without their secrets in the environment.
import { Worker } from 'node:worker_threads';
import type { GamePort } from './wire.ts';

/** A game that wants more than this has a leak: its thread is ended, not the program. */
const THREAD_MEMORY_MB = 4096;

/** A way to a new thread with the game of a file. */
export function threadOfFile(path: string, memory_mb = THREAD_MEMORY_MB): GamePort {
  const thread = new Worker(new URL('./node-thread.ts', import.meta.url), {
    workerData: path,
    resourceLimits: { maxOldGenerationSizeMb: memory_mb },
    env: {}, // passphrases of keys may be in the program's
  });
  return {
    post: (message) => thread.postMessage(message),
    open(onMessage, onEnd) {
      thread.on('message', onMessage);
      thread.on('messageerror', () => onEnd('said something that cannot be copied'));
      thread.on('error', (error) => onEnd(error instanceof Error ? error.message : String(error)));
      thread.on('exit', (code) => onEnd(`it awaits what never comes, or ends its thread (code ${code})`));
    },
    hold: (waited_for) => void (waited_for ? thread.ref() : thread.unref()),
    end: () => void thread.terminate(),
  };
}
