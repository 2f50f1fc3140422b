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

/** A way to run graphs. `class` names what may be compared bit for bit or within a measured tolerance. */
export interface Runtime {
  readonly class: 'native-cpu' | 'wasm' | 'webgpu';
  load(graph: CompiledGraph): Promise<Program>;
  close(): Promise<void>;
}
