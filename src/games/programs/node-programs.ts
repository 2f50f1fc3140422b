// Programs in a thread of Node, which begins when the first one runs and lasts as long as the process.
import { Worker } from 'node:worker_threads';
import { openPrograms, type ProgramThread } from './programs.ts';

/** Beside the sandbox's own memory. */
const THREAD_MEMORY_MB = 256;

function openThread(): ProgramThread {
  const thread = new Worker(new URL('./node-program-thread.ts', import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: THREAD_MEMORY_MB },
    env: {},
  });
  return {
    post: (job) => thread.postMessage(job),
    open(onAnswer, onEnd) {
      thread.on('message', onAnswer);
      thread.on('error', (error) => onEnd(error instanceof Error ? error.message : String(error)));
      thread.on('exit', (code) => onEnd(`its thread has ended (code ${code})`));
    },
    hold: (waited_for) => void (waited_for ? thread.ref() : thread.unref()),
    end: () => void thread.terminate(),
  };
}

/** `run` of every device in this process. */
export const { run: runProgram } = openPrograms(openThread);
