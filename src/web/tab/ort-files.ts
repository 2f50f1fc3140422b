// The addresses of ONNX Runtime's files in the page's build. Nothing is downloaded before somebody has consented.
import asyncifyMjs from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.mjs?url';
import asyncifyWasm from 'onnxruntime-web/ort-wasm-simd-threaded.asyncify.wasm?url';
import wasmMjs from 'onnxruntime-web/ort-wasm-simd-threaded.mjs?url';
import wasmWasm from 'onnxruntime-web/ort-wasm-simd-threaded.wasm?url';
import type { OrtFiles } from '../../tensor/web-runtime.ts';

const absolute = (address: string): string => new URL(address, globalThis.location.href).href;

/** For the runtime on WASM. */
export const WASM_FILES: OrtFiles = { mjs: absolute(wasmMjs), wasm: absolute(wasmWasm) };
/** For the runtime on WebGPU. */
export const WEBGPU_FILES: OrtFiles = { mjs: absolute(asyncifyMjs), wasm: absolute(asyncifyWasm) };

/** The size over the wire, which depends on the hub's compression, so the hub is asked; null where it does not say. */
export async function downloadBytes(addresses: readonly string[]): Promise<number | null> {
  const sizes = await Promise.all(
    addresses.map(async (address) => {
      const response = await fetch(address, { method: 'HEAD' }).catch(() => null);
      return response?.ok ? Number(response.headers.get('content-length') ?? Number.NaN) : Number.NaN;
    }),
  );
  const sum = sizes.reduce((all, size) => all + size, 0);
  return sum > 0 ? sum : null;
}
