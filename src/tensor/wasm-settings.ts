// The settings of ONNX Runtime's WASM build. Node and browsers share them, because the bits must be the same.
import type { SessionSettings } from './session-program.ts';

export const WASM_SETTINGS: SessionSettings = {
  preallocate: false,
  session: {
    executionProviders: ['wasm'],
    executionMode: 'sequential',
    enableMemPattern: false, // WASM can address only 4 GiB
    logSeverityLevel: 4, // errors reach the caller; ONNX Runtime would also print them
  },
};
