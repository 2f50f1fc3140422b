// What Vite adds to imports: styles, assets by address, import.meta.glob.
/// <reference types="vite/client" />

/** The size of ONNX Runtime's kernels, as they are before packing. */
declare const WASM_BYTES: number;
