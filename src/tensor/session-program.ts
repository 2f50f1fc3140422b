// One ONNX Runtime session with its states, as it runs inside the worker of every runtime.
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { TensorError } from './errors.ts';
import { free } from './freed.ts';
import { safeInPlace } from './in-place.ts';
import type { NamedTensor } from './ir.ts';
import { elementCount, encodeOnnx, withEmptySequenceFirst } from './onnx.ts';
import { decodeOnnx } from './onnx-reader.ts';
import type { CompiledGraph, TensorData, TensorMap } from './runtime.ts';
import {
  checkNames,
  isShared,
  type Lengths,
  quoted,
  sameShape,
  typesOf,
  type ValueType,
  type ValueTypes,
} from './session-values.ts';

/** The part of ONNX Runtime's API in use; onnxruntime-node and onnxruntime-web share it. */
export interface OrtModule {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession>;
  };
  readonly Tensor: new (
    dtype: 'float32' | 'int32',
    data: Float32Array | Int32Array,
    shape: readonly number[],
  ) => Tensor;
}

export interface SessionSettings {
  readonly session: InferenceSession.SessionOptions;
  /**
   * Whether ONNX Runtime writes outputs into given buffers. The native binding does; the WASM build ignores them and makes
   * new arrays, which then become the states.
   */
  readonly preallocate: boolean;
  /**
   * Whether states stay where the kernels run: GPU buffers become the next run's inputs without a copy. They are read by the
   * binding's own download, or, where that ends the process (onnxruntime-node 1.30), by a graph that copies them to the CPU.
   */
  readonly statesOnGpu?: 'read-by-download' | 'read-by-graph';
}

/**
 * After a run the native binding (1.30) copies every output into a new JavaScript array, including those that it has just
 * written into given buffers: for a training step the weights and both moments, every time. It makes these copies in the
 * order of the outputs, and stops with this error at one that is not a tensor. So the graph gets an empty sequence as its
 * first output, and that error means that the run has finished and every buffer is written. If a future binding returns
 * sequences, it makes its copies again and the results stay right.
 */
const STOP_COPYING = 'potluck/stop-copying';
const COPYING_STOPPED = 'Non tensor type is temporarily not supported.';

/** Errors reach the caller; ONNX Runtime would also print them. */
const RUN_OPTIONS: InferenceSession.RunOptions = { logSeverityLevel: 4 };

/**
 * A state's current value, and a second buffer for the next one. `spare` is null where its programs update in place,
 * where they allocate by themselves, and where the state is frozen in all of them.
 */
interface Cell {
  readonly shape: readonly number[];
  readonly length: number;
  current: Tensor;
  spare: Tensor | null;
  /** How many open programs have this state. */
  programs: number;
}

/** A state as one program uses it. */
interface State {
  readonly name: string;
  readonly next: string | null;
  readonly inPlace: boolean;
  readonly cell: Cell;
}

/** An input in shared memory, which the next run may take again. */
interface Kept {
  readonly given: TensorData;
  readonly tensor: Tensor;
}

const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function sessionOptions(
  { states, beside, seldom }: CompiledGraph,
  settings: SessionSettings,
): InferenceSession.SessionOptions {
  const externalData = [...(beside ?? [])].map(([path, data]) => ({ path, data }));
  const session = {
    ...settings.session,
    ...(beside && { externalData }),
    ...(seldom && { enableCpuMemArena: false }), // an arena grows to a power of two, and keeps it
  };
  if (!settings.statesOnGpu) return session;
  const preferredOutputLocation = Object.fromEntries(
    states.flatMap(({ next }) => (next ? [[next, 'gpu-buffer' as const]] : [])),
  );
  return { ...session, preferredOutputLocation };
}

/**
 * A loaded graph. Calls must not overlap: its owner queues them. States start as zeros.
 * After a run that failed inside ONNX Runtime, states may be partly advanced: write them before the next run.
 */
export class SessionProgram {
  readonly #ort: OrtModule;
  readonly #session: InferenceSession;
  readonly #graph: CompiledGraph;
  readonly #inputs: ValueTypes;
  readonly #outputs: ValueTypes;
  readonly #states = new Map<string, State>();
  readonly #settings: SessionSettings;
  /** The last run's inputs in shared memory. */
  #kept: ReadonlyMap<string, Kept> = new Map();
  /** Graphs that copy states off the GPU, by the names of the states. */
  readonly #copiers = new Map<string, Promise<InferenceSession>>();

  private constructor(
    ort: OrtModule,
    session: InferenceSession,
    graph: CompiledGraph,
    settings: SessionSettings,
    inPlaceStates: ReadonlySet<string>,
    sharedStates: ReadonlyMap<string, Float32Array>,
    owner: SessionProgram | null,
  ) {
    this.#ort = ort;
    this.#session = session;
    this.#graph = graph;
    this.#settings = settings;
    const { preallocate } = settings;
    this.#inputs = typesOf(session.inputNames, session.inputMetadata);
    this.#outputs = typesOf(session.outputNames, session.outputMetadata);
    this.#outputs.delete(STOP_COPYING);
    checkNames(graph, this.#inputs, this.#outputs);
    const cells = graph.states.map(({ name, shape }) => (owner ? owner.#sharedCell(name, shape) : undefined));
    for (const [i, { name, next, shape }] of graph.states.entries()) {
      const length = elementCount(shape);
      const tensor = (data: Float32Array = new Float32Array(length)) => new ort.Tensor('float32', data, shape);
      const inPlace = preallocate && inPlaceStates.has(name);
      const memory = sharedStates.get(name);
      if (memory !== undefined && (memory.length !== length || !(inPlace || next === null))) {
        throw new TensorError(
          'bad-graph',
          `load: state "${name}" [${shape}] cannot live in ${memory.length} shared values`,
        );
      }
      const cell = cells[i] ?? { shape, length, current: tensor(memory), spare: null, programs: 0 };
      if (next !== null && preallocate && !inPlace) cell.spare ??= tensor();
      cell.programs++;
      this.#states.set(name, { name, next, inPlace, cell });
    }
  }

  /** The state of this name for another program; undefined where there is none. Throws `bad-graph` for another shape. */
  #sharedCell(name: string, shape: readonly number[]): Cell | undefined {
    const cell = this.#states.get(name)?.cell;
    if (cell && !sameShape(cell.shape, shape)) {
      throw new TensorError('bad-graph', `load: state "${name}" is [${shape}], and [${cell.shape}] where it is held`);
    }
    return cell;
  }

  /**
   * Loads the bytes; `shared` are states in memory that others read and write between runs, `owner` is a program whose states this one uses.
   * Throws `bad-model` where decodeOnnx or ONNX Runtime refuses them, and the errors of checkNames.
   */
  static async load(
    ort: OrtModule,
    graph: CompiledGraph,
    settings: SessionSettings,
    shared: ReadonlyMap<string, Float32Array> = new Map(),
    owner: SessionProgram | null = null,
  ): Promise<SessionProgram> {
    // A graph with tensors beside it was made here, and so need not be read before ONNX Runtime reads it; none of its states moves.
    const inPlaceStates = graph.beside ? new Set<string>() : safeInPlace(decodeOnnx(graph.onnx), graph.states);
    let session: InferenceSession;
    try {
      const onnx = settings.preallocate ? withEmptySequenceFirst(graph.onnx, STOP_COPYING) : graph.onnx;
      session = await ort.InferenceSession.create(onnx, sessionOptions(graph, settings));
    } catch (error) {
      throw new TensorError('bad-model', `load: ONNX Runtime refused ${graph.onnx.length} bytes: ${errorText(error)}`);
    }
    // ONNX Runtime has its own copies now; without this, these would wait for a collection of garbage, which may be long.
    free(...(graph.beside?.values() ?? []));
    try {
      return new SessionProgram(ort, session, graph, settings, inPlaceStates, shared, owner);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** Takes over the arrays as the new values; the caller must not use them afterwards. All are checked before any is set. */
  writeState(values: ReadonlyMap<string, Float32Array>): void {
    for (const [name, data] of values) {
      const { length, shape } = this.#state('writeState', name).cell;
      if (!(data instanceof Float32Array)) {
        throw new TensorError('bad-dtype', `writeState: state "${name}" must be a Float32Array`);
      }
      if (data.length !== length) {
        throw new TensorError(
          'bad-length',
          `writeState: state "${name}" [${shape}] holds ${length} values, got ${data.length}`,
        );
      }
    }
    for (const [name, data] of values) {
      const { cell } = this.#state('writeState', name);
      freeOnGpu(cell.current);
      if (this.#settings.preallocate) letGo(cell, data);
      cell.current = new this.#ort.Tensor('float32', data, cell.shape);
    }
  }

  /** Copies of the named states. */
  async readState(names: readonly string[]): Promise<Map<string, Float32Array>> {
    const states = names.map((name) => this.#state('readState', name));
    const copies = new Map<string, Float32Array>();
    const byGraph = states.filter(
      ({ cell }) => cell.current.location === 'gpu-buffer' && this.#settings.statesOnGpu === 'read-by-graph',
    );
    const copied = await this.#copyOffGpu(byGraph);
    for (const { name, cell } of states) {
      const data = copied.get(name) ?? ((await cell.current.getData(true)) as Float32Array).slice();
      copies.set(name, data);
    }
    return copies;
  }

  async #copyOffGpu(states: readonly State[]): Promise<Map<string, Float32Array>> {
    if (states.length === 0) return new Map();
    const key = states.map(({ name }) => name).join('\n');
    const copier =
      this.#copiers.get(key) ?? this.#ort.InferenceSession.create(copyingGraph(states), this.#settings.session);
    this.#copiers.set(key, copier);
    try {
      const feeds = Object.fromEntries(states.map(({ cell }, i) => [`state ${i}`, cell.current]));
      const results = await (await copier).run(feeds, RUN_OPTIONS);
      return new Map(states.map(({ name }, i) => [name, results[`copy ${i}`].data as Float32Array]));
    } catch (error) {
      this.#copiers.delete(key);
      throw new TensorError('run-failed', `readState: ${errorText(error)}`);
    }
  }

  /**
   * One run; see Program.run. The arrays in the answer belong to the caller. `as_before` names inputs in shared memory that are those of the
   * last run, which did not fail.
   */
  async run(told: TensorMap, as_before: readonly string[] = []): Promise<TensorMap> {
    const before = this.#kept;
    this.#kept = new Map(); // where this run fails
    const inputs: Record<string, TensorData> = { ...told };
    for (const name of as_before) if (before.has(name)) inputs[name] = before.get(name)!.given;
    const lengths = this.#checkInputs(inputs);
    const feeds: Record<string, Tensor> = {};
    const kept = new Map<string, Kept>();
    for (const name of this.#graph.inputs) {
      const given = inputs[name];
      const tensor =
        name in told ? new this.#ort.Tensor(given.dtype, given.data, given.shape) : before.get(name)!.tensor;
      feeds[name] = tensor;
      if (isShared(given.data)) kept.set(name, { given, tensor });
    }
    for (const state of this.#states.values()) feeds[state.name] = state.cell.current;
    const results = await (this.#settings.preallocate
      ? this.#runIntoBuffers(feeds, lengths)
      : this.#runIntoNewArrays(feeds));
    for (const state of this.#states.values()) {
      if (state.next === null || state.inPlace) continue;
      const { cell } = state;
      if (cell.spare !== null) cell.spare = cell.current;
      else freeOnGpu(cell.current);
      cell.current = results[state.next]!;
    }
    this.#kept = kept;
    return Object.fromEntries(this.#graph.outputs.map((name) => [name, asTensorData(results[name]!)]));
  }

  async #runIntoBuffers(feeds: Record<string, Tensor>, lengths: Lengths): Promise<Record<string, Tensor | null>> {
    const fetches: Record<string, Tensor | null> = { [STOP_COPYING]: null };
    for (const name of this.#graph.outputs) {
      const { dtype, shape: declared } = this.#outputs.get(name)! as ValueType; // by checkNames
      const shape = declared.map((dimension) => (typeof dimension === 'number' ? dimension : lengths.get(dimension)!));
      const length = elementCount(shape);
      const data = dtype === 'float32' ? new Float32Array(length) : new Int32Array(length);
      fetches[name] = new this.#ort.Tensor(dtype, data, shape);
    }
    for (const { next, inPlace, cell } of this.#states.values()) {
      if (next !== null) fetches[next] = inPlace ? cell.current : cell.spare;
    }
    try {
      await this.#session.run(feeds, fetches, RUN_OPTIONS);
    } catch (error) {
      if (errorText(error) !== COPYING_STOPPED) throw new TensorError('run-failed', `run: ${errorText(error)}`);
    }
    return fetches;
  }

  async #runIntoNewArrays(feeds: Record<string, Tensor>): Promise<Record<string, Tensor>> {
    const names = [...this.#graph.outputs, ...this.#graph.states.flatMap((state) => state.next ?? [])];
    try {
      return await this.#session.run(feeds, names, RUN_OPTIONS);
    } catch (error) {
      throw new TensorError('run-failed', `run: ${errorText(error)}`);
    }
  }

  async close(): Promise<void> {
    for (const { cell } of this.#states.values()) {
      cell.programs--;
      if (cell.programs === 0) freeOnGpu(cell.current);
    }
    this.#states.clear();
    for (const copier of this.#copiers.values()) await (await copier).release();
    this.#copiers.clear();
    await this.#session.release();
  }

  #state(call: string, name: string): State {
    const state = this.#states.get(name);
    if (state === undefined) {
      throw new TensorError(
        'unknown-name',
        `${call}: there is no state "${name}"; there are ${quoted(this.#states.keys())}`,
      );
    }
    return state;
  }

  /** Throws where the inputs are not as the graph declares them; returns the lengths of its free dimensions. */
  #checkInputs(inputs: TensorMap): Lengths {
    const lengths: Lengths = new Map();
    for (const name of Object.keys(inputs)) {
      if (!this.#graph.inputs.includes(name)) {
        throw new TensorError(
          'unknown-name',
          `run: there is no input "${name}"; there are ${quoted(this.#graph.inputs)}`,
        );
      }
    }
    for (const name of this.#graph.inputs) {
      const given = inputs[name];
      const wanted = this.#inputs.get(name)!;
      if (given === undefined) throw new TensorError('missing-input', `run: input "${name}" is missing`);
      const kind = given.data instanceof Float32Array ? 'float32' : given.data instanceof Int32Array ? 'int32' : '?';
      if (given.dtype !== wanted.dtype || kind !== wanted.dtype) {
        throw new TensorError('bad-dtype', `run: input "${name}" must be ${wanted.dtype}, got ${given.dtype}`);
      }
      if (!sameShape(wanted.shape, given.shape, lengths)) {
        throw new TensorError('bad-shape', `run: input "${name}" must be [${wanted.shape}], got [${given.shape}]`);
      }
      if (given.data.length !== elementCount(given.shape)) {
        throw new TensorError(
          'bad-length',
          `run: input "${name}" [${given.shape}] holds ${elementCount(given.shape)} values, got ${given.data.length}`,
        );
      }
    }
    return lengths;
  }
}

/** A graph whose outputs are its inputs: run without a wish where they are to be, it brings them to the CPU. */
function copyingGraph(states: readonly State[]): Uint8Array {
  const value = (name: string, { cell: { shape } }: State): NamedTensor => ({
    name,
    dtype: 'float32',
    shape: [...shape],
  });
  return encodeOnnx({
    inputs: states.map((state, i) => value(`state ${i}`, state)),
    outputs: states.map((state, i) => value(`copy ${i}`, state)),
    constants: [],
    nodes: states.map((_, i) => ({ op: 'Identity', inputs: [`state ${i}`], outputs: [`copy ${i}`], attributes: {} })),
  });
}

/** Frees what a state was on the CPU: a collection of garbage may be long in coming, and states are most of what a runtime holds. */
function letGo({ current }: Cell, now: Float32Array): void {
  if (current.location !== 'cpu') return;
  const data = current.data as Float32Array;
  if (data.buffer !== now.buffer) free(data);
}

/** Frees the GPU memory of an unused tensor. */
function freeOnGpu(tensor: Tensor): void {
  if (tensor.location === 'gpu-buffer') tensor.dispose();
}

function asTensorData(tensor: Tensor): TensorData {
  return { dtype: tensor.type, shape: [...tensor.dims], data: tensor.data } as TensorData; // checkNames allows only these types
}
