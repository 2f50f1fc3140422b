// The worker thread of the WASM runtime in Node: onnxruntime-web's Node build reads its .wasm file from the installed package.
import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { nodeOwnerPort } from './runtime-node-worker.ts';
import { serveRuntime } from './runtime-server.ts';
import type { OrtModule } from './session-program.ts';
import { WASM_SETTINGS } from './wasm-settings.ts';

const { threads } = z.object({ threads: z.int().min(1) }).parse(workerData);

async function loadOrt(): Promise<OrtModule> {
  const ort = await import('onnxruntime-web');
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'fatal';
  return ort;
}

serveRuntime(nodeOwnerPort(parentPort!), loadOrt(), WASM_SETTINGS);
