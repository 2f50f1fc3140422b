// The native CPU runtime: onnxruntime-node in a worker thread, beside the event loop that talks to the network.
import { availableParallelism } from 'node:os';
import { TensorError } from './errors.ts';
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker } from './runtime-client.ts';
import { startNodeWorker } from './runtime-node-worker.ts';

/** More than any CPU socket has; beyond it is a mistake. */
export const LIMIT_THREADS = 256;

/** How many threads to use where nobody said: all that the process may use. Throws bad_argument out of 1 … 256. */
export function threadCount(threads: number = Math.min(availableParallelism(), LIMIT_THREADS)): number {
  if (!Number.isInteger(threads) || threads < 1 || threads > LIMIT_THREADS) {
    throw new TensorError('bad_argument', `threads: expected an integer in 1 … ${LIMIT_THREADS}, got ${threads}`);
  }
  return threads;
}

/** Starts a runtime with its own worker thread and ONNX Runtime's CPU kernels. Close it to free the worker. */
export async function createNativeRuntime(options: { threads?: number } = {}): Promise<Runtime> {
  const threads = threadCount(options.threads);
  const port = startNodeWorker(new URL('./native-runtime-worker.ts', import.meta.url), { threads });
  return runtimeOverWorker('native-cpu', port);
}
