// A runtime whose owner lies about what a stage computes: for tests, and for the arena's liars.
import type { CompiledGraph, Program, Runtime, TensorData, TensorMap } from '../../tensor/runtime.ts';

/** A run of one of a stage's graphs (model/pipeline/graphs.ts), as its owner is asked for it. */
export interface StageRun {
  readonly kind: 'forward' | 'backward' | 'step' | 'losses';
  readonly inputs: TensorMap;
  /** The run itself, on these inputs or on others. Who does not call it computes nothing. */
  compute(inputs?: TensorMap): Promise<TensorMap>;
}
/** What comes of a run instead of its outputs. */
export type Lie = (run: StageRun) => Promise<TensorMap>;

/** It computes as `runtime` does, but for the lie. */
export function lyingRuntime(runtime: Runtime, lie: Lie): Runtime {
  const honest = new WeakMap<Program, Program>();
  const disguised = (graph: CompiledGraph, program: Program): Program => {
    const kind = kindOf(graph);
    const run: Program['run'] = (inputs) => lie({ kind, inputs, compute: (others = inputs) => program.run(others) });
    const liar: Program = { ...bound(program), run };
    honest.set(liar, program);
    return liar;
  };
  return {
    class: runtime.class,
    load: async (graph) => disguised(graph, await runtime.load(graph)),
    loadSharing: async (graph, owner) => disguised(graph, await runtime.loadSharing!(graph, honest.get(owner)!)),
    close: () => runtime.close(),
  };
}

/** What goes to the next stage, or back to the one before. */
export type Leaving = 'sent' | 'returned';

/** Everything is computed as asked, and other values leave the device. */
export const sending =
  (change: (leaving: Leaving, values: Float32Array) => Float32Array): Lie =>
  async ({ compute }) =>
    mapLeaving(await compute(), change);

/** The outputs with other values where they leave the device. */
export function mapLeaving(
  outputs: TensorMap,
  change: (leaving: Leaving, values: Float32Array) => Float32Array,
): TensorMap {
  const told = (name: string, value: TensorData): TensorData =>
    (name === 'sent' || name === 'returned') && value.dtype === 'float32'
      ? { ...value, data: change(name, value.data) }
      : value;
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, told(name, value)]));
}

/** By what only a graph of this kind has: in the first stage nothing comes out of backward. */
function kindOf({ outputs }: CompiledGraph): StageRun['kind'] {
  if (outputs.includes('gradient_norm')) return 'step';
  if (outputs.includes('losses')) return 'losses';
  return outputs.some((name) => name === 'sent' || name.startsWith('sent/')) ? 'forward' : 'backward';
}

const bound = (program: Program): Omit<Program, 'run'> => ({
  writeState: (values) => program.writeState(values),
  readState: (names) => program.readState(names),
  close: () => program.close(),
});
