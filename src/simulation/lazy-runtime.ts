// A runtime that starts when a game first wants one: most do not.
import { createNativeRuntime, isNativeHere } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { createWasmRuntime } from '../tensor/wasm-runtime.ts';

/** With one thread: native where that is there, else WASM. */
export function lazyRuntime(): Runtime {
  let runtime: Promise<Runtime> | null = null;
  const started = (): Promise<Runtime> => {
    runtime ??= isNativeHere() ? createNativeRuntime({ threads: 1 }) : createWasmRuntime({ threads: 1 });
    return runtime;
  };
  return {
    class: isNativeHere() ? 'native-cpu' : 'wasm',
    load: async (graph) => (await started()).load(graph),
    loadSharing: async (graph, owner) => (await started()).loadSharing!(graph, owner),
    async close() {
      await (await runtime)?.close();
    },
  };
}
