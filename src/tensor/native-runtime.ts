// The native CPU runtime: onnxruntime-node in a worker thread, beside the event loop that talks to the network.
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker, threadCount } from './runtime-client.ts';
import { startNodeWorker } from './runtime-node-worker.ts';

export interface NativeOptions {
  /** 1 … 256; by default all cores. */
  readonly threads?: number;
  /**
   * Threads that wait for each other stay awake. A few per cent faster with two or more threads on a machine that does
   * nothing else; on a busy one they starve the others and each other. By default they sleep.
   */
  readonly alone?: boolean;
}

/** Starts a runtime with its own worker thread and ONNX Runtime's CPU kernels. Close it to free the worker.
 * Throws bad_argument where `threads` is out of range. */
export async function createNativeRuntime(options: NativeOptions = {}): Promise<Runtime> {
  const settings = { threads: threadCount(options.threads), alone: options.alone ?? false };
  const port = startNodeWorker(new URL('./native-runtime-worker.ts', import.meta.url), settings);
  return runtimeOverWorker('native-cpu', port);
}
