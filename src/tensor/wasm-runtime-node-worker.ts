// The worker thread of the WASM runtime in Node: onnxruntime-web's Node build reads its .wasm file from the installed package.
import { parentPort, workerData } from 'node:worker_threads';
import { nodeOwnerPort } from './runtime-node-worker.ts';
import { serveRuntime } from './runtime-server.ts';
import type { OrtModule } from './session-program.ts';
import { WASM_SETTINGS } from './wasm-settings.ts';

// From wasm-runtime.ts. Loading a schema library would take longer than everything else here.
const { threads } = workerData as { readonly threads: number };

async function loadOrt(): Promise<OrtModule> {
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'fatal';
  return ort;
}

serveRuntime(nodeOwnerPort(parentPort!), loadOrt(), WASM_SETTINGS);
