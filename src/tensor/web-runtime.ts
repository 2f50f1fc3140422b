// The runtimes of a browser: onnxruntime-web in a Worker, on WASM or on WebGPU. WASM gives the same bits as on every other machine.
import type { Runtime } from './runtime.ts';
import { runtimeOverWorker, threadCount } from './runtime-client.ts';
import { startWebWorker } from './runtime-web-worker.ts';

/** The location of ONNX Runtime's files, its loader and its kernels, on the page's own origin. */
export interface OrtFiles {
  readonly mjs: string;
  readonly wasm: string;
}

export interface WebRuntimeOptions {
  readonly files: OrtFiles;
  /** 1 … 256; more than one needs shared memory, which only a cross-origin isolated page has. Default: one per core. */
  readonly threads?: number;
  /** 'verbose' makes ONNX Runtime print, among much else, where it places each node. */
  readonly logLevel?: 'fatal' | 'verbose';
}

/** The first message to the runtime's Worker. */
export interface WebRuntimeSettings extends WebRuntimeOptions {
  readonly runtime: 'wasm' | 'webgpu';
  readonly threads: number;
}

/** Whether WASM can use several threads here. */
export const mayUseThreads = (): boolean => globalThis.crossOriginIsolated === true;

/** ONNX Runtime's CPU kernels in WASM. Throws bad-argument where `threads` is out of range; a build that cannot be loaded rejects every call. */
export async function createWebWasmRuntime(options: WebRuntimeOptions): Promise<Runtime> {
  const threads = threadCount(options.threads);
  return startRuntime({ ...options, runtime: 'wasm', threads: mayUseThreads() ? threads : 1 });
}

/** ONNX Runtime's kernels on the GPU; weights and moments stay there between steps. Without a GPU adapter every load is rejected. */
export async function createWebGpuRuntime(options: WebRuntimeOptions): Promise<Runtime> {
  return startRuntime({ ...options, runtime: 'webgpu', threads: 1 });
}

function startRuntime(settings: WebRuntimeSettings): Runtime {
  // In one expression, because bundlers recognise this pattern.
  const worker = new Worker(new URL('./web-runtime-worker.ts', import.meta.url), {
    type: 'module',
    name: `potluck ${settings.runtime}`,
  });
  worker.postMessage(settings);
  return runtimeOverWorker(settings.runtime, startWebWorker(worker));
}
