// The settings of ONNX Runtime's WASM build; the same in Node and in browsers, because its bits must be the same too.
import type { SessionSettings } from './session-program.ts';

export const WASM_SETTINGS: SessionSettings = {
  preallocate: false,
  session: {
    executionProviders: ['wasm'],
    executionMode: 'sequential',
    enableMemPattern: false, // 4 GiB are all that WASM can address
    logSeverityLevel: 4, // errors reach the caller; ONNX Runtime would also print them
  },
};
