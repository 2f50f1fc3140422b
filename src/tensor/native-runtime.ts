// The native CPU runtime: onnxruntime-node in a worker thread, beside the event loop that talks to the network.
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker, threadCount } from './runtime-client.ts';
import { startNodeWorker } from './runtime-node-worker.ts';

/** Starts a runtime with its own worker thread and ONNX Runtime's CPU kernels. Close it to free the worker.
 * Throws bad_argument where `threads` is out of 1 … 256 (default: all cores). */
export async function createNativeRuntime(options: { threads?: number } = {}): Promise<Runtime> {
  const threads = threadCount(options.threads);
  const port = startNodeWorker(new URL('./native-runtime-worker.ts', import.meta.url), { threads });
  return runtimeOverWorker('native-cpu', port);
}
