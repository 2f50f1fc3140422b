// A runtime whose owner lies about what a stage sends on or returns, for tests.
import type { Program, Runtime, TensorData, TensorMap } from '../../tensor/runtime.ts';

/** What goes to the next stage, or back to the one before. */
export type Leaving = 'sent' | 'returned';
export type Lie = (leaving: Leaving, values: Float32Array) => Float32Array;

/** It computes as `runtime` does, and puts something else into what leaves the device. */
export function lyingRuntime(runtime: Runtime, lie: Lie): Runtime {
  const honest = new WeakMap<Program, Program>();
  const disguised = (program: Program): Program => {
    const liar: Program = { ...bound(program), run: async (inputs) => withLies(await program.run(inputs), lie) };
    honest.set(liar, program);
    return liar;
  };
  return {
    class: runtime.class,
    load: async (graph) => disguised(await runtime.load(graph)),
    loadSharing: async (graph, owner) => disguised(await runtime.loadSharing!(graph, honest.get(owner)!)),
    close: () => runtime.close(),
  };
}

const bound = (program: Program): Omit<Program, 'run'> => ({
  writeState: (values) => program.writeState(values),
  readState: (names) => program.readState(names),
  close: () => program.close(),
});

function withLies(outputs: TensorMap, lie: Lie): TensorMap {
  const told = (name: string, value: TensorData): TensorData =>
    (name === 'sent' || name === 'returned') && value.dtype === 'float32'
      ? { ...value, data: lie(name, value.data) }
      : value;
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, told(name, value)]));
}
