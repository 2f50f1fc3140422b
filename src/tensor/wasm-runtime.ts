// The WASM runtime in Node: onnxruntime-web in a worker thread. Its bits are the same on every machine and for every number
// of threads, which makes it the referee of disputed steps. web-runtime.ts has the same for browsers.
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker, threadCount } from './runtime-client.ts';
import { startNodeWorker } from './runtime-node-worker.ts';

/**
 * Starts a runtime with its own worker and its own WASM memory, from files of the installed package.
 * Throws `bad-argument` where `threads` is outside 1 … 256 (default: one per core).
 */
export async function createWasmRuntime(options: { threads?: number } = {}): Promise<Runtime> {
  const threads = threadCount(options.threads);
  const script = new URL('./wasm-runtime-node-worker.ts', import.meta.url);
  return runtimeOverWorker('wasm', startNodeWorker(script, { threads }));
}
