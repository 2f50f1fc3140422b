// The Worker of a runtime in a browser. Its first message names the runtime; all later ones are calls.
import { keepingDevice } from './kept-device.ts';
import { serveRuntime } from './runtime-server.ts';
import { webOwnerPort } from './runtime-web-worker.ts';
import type { OrtModule, SessionSettings } from './session-program.ts';
import { WASM_SETTINGS } from './wasm-settings.ts';
import type { WebRuntimeSettings } from './web-runtime.ts';

const WEBGPU_SETTINGS: SessionSettings = {
  preallocate: false,
  statesOnGpu: 'read-by-download',
  session: { ...WASM_SETTINGS.session, executionProviders: ['webgpu'] },
};

async function loadOrt({ runtime, threads, files, logLevel }: WebRuntimeSettings): Promise<OrtModule> {
  const ort = await (runtime === 'webgpu' ? import('onnxruntime-web/webgpu') : import('onnxruntime-web/wasm'));
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = files;
  ort.env.logLevel = logLevel ?? 'fatal';
  return runtime === 'webgpu' ? keepingDevice(ort, WEBGPU_SETTINGS.session) : ort;
}

globalThis.onmessage = ({ data }: MessageEvent<WebRuntimeSettings>) => {
  const kind = data.runtime === 'webgpu' ? WEBGPU_SETTINGS : WASM_SETTINGS;
  const verbose = data.logLevel === 'verbose' ? { logSeverityLevel: 0 as const } : {};
  serveRuntime(webOwnerPort(), loadOrt(data), { ...kind, session: { ...kind.session, ...verbose } });
};
