// A runtime that starts when a game first wants one: most do not.
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';

/** With one thread: native where that is there, else WASM. */
export function lazyRuntime(): Runtime {
  let runtime: Promise<Runtime> | null = null;
  return {
    class: isNativeHere() ? 'native-cpu' : 'wasm',
    async load(graph) {
      runtime ??= isNativeHere() ? createNativeRuntime({ threads: 1 }) : createWasmRuntime({ threads: 1 });
      return (await runtime).load(graph);
    },
    async close() {
      await (await runtime)?.close();
    },
  };
}
