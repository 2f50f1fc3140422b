// The WASM runtime: onnxruntime-web in a worker, in Node and in a browser. Its bits are the same on every machine and for
// every number of threads, which makes it the referee of disputed steps.
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker, threadCount } from './runtime-client.ts';

const inNode = typeof process !== 'undefined' && typeof process.versions?.node === 'string';

/**
 * Starts a runtime with its own worker and its own WASM memory. In Node everything is loaded from the installed package;
 * in a browser, more than one thread needs a cross-origin isolated page. Throws bad_argument where `threads` is out of
 * 1 … 256 (default: what navigator.hardwareConcurrency says).
 */
export async function createWasmRuntime(options: { threads?: number } = {}): Promise<Runtime> {
  const threads = threadCount(options.threads);
  if (inNode) {
    const { startNodeWorker } = await import('./runtime-node-worker.ts');
    const script = new URL('./wasm-runtime-node-worker.ts', import.meta.url);
    return runtimeOverWorker('wasm', startNodeWorker(script, { threads }));
  }
  const { startWebWorker } = await import('./runtime-web-worker.ts');
  // Written in one expression, because bundlers look for this pattern.
  const worker = new Worker(new URL('./wasm-runtime-web-worker.ts', import.meta.url), {
    type: 'module',
    name: String(threads),
  });
  return runtimeOverWorker('wasm', startWebWorker(worker));
}
