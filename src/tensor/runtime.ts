// What a device runs graphs with: one interface over ONNX Runtime native, WASM and WebGPU.

/** The element types that cross the border between TypeScript and a runtime. */
export type TensorData =
  | { readonly dtype: 'float32'; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: 'int32'; readonly shape: readonly number[]; readonly data: Int32Array };

export type TensorMap = Readonly<Record<string, TensorData>>;

/**
 * A graph as bytes, with the names that its user needs.
 * A state is an input whose value stays inside the runtime between runs: after each run the output `next` becomes
 * the input `name`. A state without `next` (a frozen weight) keeps what was written to it.
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
}

/** One loaded graph with its own states. Calls on one program are queued; a program never runs twice at once. */
export interface Program {
  /** Sets some states (float32, length = product of the shape). Unknown names and wrong lengths are TensorErrors. */
  writeState(values: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Copies of the named states as they are after the last completed run. */
  readState(names: Iterable<string>): Promise<Map<string, Float32Array>>;
  /** Runs the graph once on these inputs (not the states), advances the states and returns the other outputs. */
  run(inputs: TensorMap): Promise<TensorMap>;
  /** Frees what the program holds. Later calls are rejected with a TensorError. */
  close(): Promise<void>;
}

/** A graph in a stage. */
export interface StagedPart {
  readonly graph: CompiledGraph;
  /** It runs once for each of these, in turn, with these inputs beside the others; once where they are left out. */
  readonly runs?: readonly TensorMap[];
  /** What the memory of a state is called, where not like the state. */
  readonly memory?: ReadonlyMap<string, string>;
}

/**
 * A computation in stages. The parts of a stage run at the same time. States in memory of one name are one: written by
 * one part of a stage, or read by several. A part takes its inputs from the caller or from the outputs of earlier stages.
 */
export interface StagedGraph {
  readonly stages: readonly (readonly StagedPart[])[];
  /** The names of what a run returns. */
  readonly outputs: readonly string[];
  /** Memory that is all zero between runs. After a run that failed it is made so. */
  readonly scratch: readonly string[];
}

/** A way to run graphs. `class` names what may be compared bit for bit or within a measured tolerance. */
export interface Runtime {
  readonly class: 'native-cpu' | 'wasm' | 'webgpu';
  load(graph: CompiledGraph): Promise<Program>;
  /** For runtimes that can run several graphs at once on states in shared memory, best `width` in a stage. */
  readonly staged?: { readonly width: number; load(graph: StagedGraph): Promise<Program> };
  close(): Promise<void>;
}
