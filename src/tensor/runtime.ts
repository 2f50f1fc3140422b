// The interface for running graphs, over ONNX Runtime's native, WASM and WebGPU builds.

/** The element types that pass between TypeScript and a runtime. */
export type TensorData =
  | { readonly dtype: 'float32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'int32'; readonly shape: readonly number[]; readonly data: Int32Array };

export type TensorMap = Readonly<Record<string, TensorData>>;

/**
 * A graph as bytes, with the names that its user needs.
 * A state is an input whose value stays inside the runtime between runs: after each run the output `next` becomes
 * the input `name`. A state without `next` (a frozen weight) keeps its last written value.
 */
export interface CompiledGraph {
  readonly onnx: Uint8Array;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly states: readonly {
    readonly name: string;
    readonly next: string | null;
    readonly shape: readonly number[];
  }[];
  /**
   * Tensors of the graph that lie beside its bytes, by name: weights that never change. A runtime keeps them in the form that its
   * kernels read fastest. Only graphs that are made on this device have them.
   */
  readonly beside?: ReadonlyMap<string, Uint8Array>;
  /** It runs seldom: what it needs for a run is given back after it, which takes longer than keeping it for the next one. */
  readonly seldom?: boolean;
}

/** One loaded graph with its own states. Calls on one program are queued; a program never runs twice at once. */
export interface Program {
  /**
   * Sets some states (float32, length = product of the shape). Unknown names and wrong lengths are TensorErrors. A frozen state may go on
   * living in a shared buffer that it was given in.
   */
  writeState(values: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Copies of the named states after the last completed run. */
  readState(names: Iterable<string>): Promise<Map<string, Float32Array>>;
  /**
   * Runs the graph once on these inputs (not the states), advances the states and returns the other outputs. Inputs in shared
   * buffers may be read until the answer is there; others may be changed at once.
   */
  run(inputs: TensorMap): Promise<TensorMap>;
  /** Frees the program's memory. Later calls are rejected with a TensorError. */
  close(): Promise<void>;
}

/** A graph in a stage. */
export interface StagedPart {
  readonly graph: CompiledGraph;
  /** It runs once for each of these, in turn, with these inputs in addition to the others; once where they are left out. */
  readonly runs?: readonly TensorMap[];
  /** The memory of a state, where its name differs from the state's. */
  readonly memory?: ReadonlyMap<string, string>;
}

/**
 * A computation in stages. The parts of a stage run in parallel. States whose memory has the same name share it: one part of a
 * stage may write it, or several may read it. A part takes its inputs from the caller or from the outputs of earlier stages.
 */
export interface StagedGraph {
  readonly stages: readonly (readonly StagedPart[])[];
  /** The names of the outputs of a run. */
  readonly outputs: readonly string[];
  /** Memory that is all zero between runs; after a failed run it is reset to zero. */
  readonly scratch: readonly string[];
}

/** A way to run graphs. `class` names the runtimes whose results can be compared bit for bit or within a measured tolerance. */
export interface Runtime {
  readonly class: 'native-cpu' | 'wasm' | 'webgpu';
  load(graph: CompiledGraph): Promise<Program>;
  /**
   * For runtimes that can hold states once for several graphs: loads a further graph for the states of a loaded one. States of the same
   * name are one, and live until the last of their programs is closed; all other states are the new program's own. The runs of all
   * of these programs come one after another. Throws `bad-argument` for a program of another runtime, `bad-graph` where a shape differs.
   */
  loadSharing?(graph: CompiledGraph, owner: Program): Promise<Program>;
  /** For runtimes that can run several graphs in parallel on states in shared memory, ideally `width` in a stage. */
  readonly staged?: { readonly width: number; load(graph: StagedGraph): Promise<Program> };
  close(): Promise<void>;
  /** For runtimes that can be ended in the middle of a run: what is under way is rejected. */
  end?(): Promise<void>;
}
