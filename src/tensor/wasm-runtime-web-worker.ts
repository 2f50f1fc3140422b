// The Worker of the WASM runtime in a browser. Its number of threads comes as the Worker's name.

import { serveRuntime } from './runtime-server.ts';
import { webOwnerPort } from './runtime-web-worker.ts';
import type { OrtModule } from './session-program.ts';
import { WASM_SETTINGS } from './wasm-settings.ts';

async function loadOrt(): Promise<OrtModule> {
  const ort = await import('onnxruntime-web/wasm');
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? Number(self.name) : 1; // threads need shared memory
  ort.env.logLevel = 'fatal';
  return ort;
}

serveRuntime(webOwnerPort(), loadOrt(), WASM_SETTINGS);
