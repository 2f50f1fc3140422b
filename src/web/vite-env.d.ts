// What Vite adds to imports: styles, assets by address, import.meta.glob.
/// <reference types="vite/client" />

/** Names of the games that a tab of this page can play; vite-config.ts writes them in. */
declare const GAMES_OF_THIS_BUILD: readonly string[];

/** The size of ONNX Runtime's kernels, as they are before packing. */
declare const WASM_BYTES: number;
