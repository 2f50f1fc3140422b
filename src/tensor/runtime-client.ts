// A Runtime whose sessions live in a worker, because ONNX Runtime's run blocks its calling thread.
import { TensorError } from './errors.ts';
import type { CompiledGraph, Program, Runtime, TensorData, TensorMap } from './runtime.ts';
import type { Answer, Call, Request, Response } from './runtime-messages.ts';
import { isShared, sameShape } from './session-values.ts';

/** The owner's end of a worker; worker_threads and browsers differ only here. */
export interface WorkerPort {
  /** Whether the worker can read the owner's SharedArrayBuffers. */
  readonly sharesMemory: boolean;
  send(request: Request, transfer: ArrayBuffer[]): void;
  onResponse(handler: (response: Response) => void): void;
  /** Called once when the worker has ended, for whatever reason. */
  onEnd(handler: (reason: string) => void): void;
  /** Whether an answer is awaited: only then may the worker keep the process alive. */
  setBusy(busy: boolean): void;
  /** Ends the worker; resolves when it is gone. */
  end(): Promise<void>;
}

/** More than any CPU socket has; a larger number is a mistake. */
const LIMIT_THREADS = 256;

/** The number of threads to use: by default all. Throws `bad-argument` outside 1 … 256. */
export function threadCount(threads: number = Math.min(navigator.hardwareConcurrency, LIMIT_THREADS)): number {
  if (!Number.isInteger(threads) || threads < 1 || threads > LIMIT_THREADS) {
    throw new TensorError('bad-argument', `threads: expected an integer in 1 … ${LIMIT_THREADS}, got ${threads}`);
  }
  return threads;
}

/** Where a tensor may begin, whatever its elements are. */
const ALIGNED_BYTES = 16;

interface Pending {
  resolve(answer: Answer): void;
  reject(error: TensorError): void;
}

/** States by name whose arrays are in SharedArrayBuffers. */
export type SharedStates = ReadonlyMap<string, Float32Array>;

/** A runtime whose programs can keep states in memory shared with programs of other such runtimes. */
export interface SharingRuntime extends Runtime {
  /** Throws `bad-graph` where one of the shared states cannot be updated in place. */
  load(graph: CompiledGraph, shared?: SharedStates): Promise<Program>;
  loadSharing(graph: CompiledGraph, owner: Program): Promise<Program>;
}

class WorkerRuntime implements SharingRuntime {
  readonly class: Runtime['class'];
  readonly #port: WorkerPort;
  readonly #pending = new Map<number, Pending>();
  readonly #programs = new WeakMap<Program, number>();
  #lastId = 0;
  #ended: TensorError | null = null;
  #closing: Promise<void> | null = null;

  constructor(runtimeClass: Runtime['class'], port: WorkerPort) {
    this.class = runtimeClass;
    this.#port = port;
    port.onResponse((response) => this.#settle(response));
    port.onEnd((reason) => this.#end(reason));
    port.setBusy(false);
  }

  load(graph: CompiledGraph, shared: SharedStates = new Map()): Promise<Program> {
    return this.#load(graph, shared);
  }

  async loadSharing(graph: CompiledGraph, owner: Program): Promise<Program> {
    const number = this.#programs.get(owner);
    if (number === undefined) {
      throw new TensorError('bad-argument', 'loadSharing: expected a program that this runtime has loaded');
    }
    return this.#load(graph, new Map(), number);
  }

  async #load(graph: CompiledGraph, shared: SharedStates, owner?: number): Promise<Program> {
    const { onnx, inputs, outputs, states, seldom } = graph;
    const beside = graph.beside && this.#copiesOf(graph.beside);
    const parts = { onnx, inputs, outputs, states, ...(beside && { beside }), ...(seldom && { seldom }) };
    const call = { method: 'load', graph: parts, shared, owner } as const;
    const frozen = states.filter(({ next }) => next === null).map(({ name }) => name);
    const number = (await this.call(call, beside ? ownBuffers(beside.values()) : [])) as number;
    const program = new WorkerProgram(this, number, new Set(frozen));
    this.#programs.set(program, number);
    return program;
  }

  /** All in one buffer: C libraries give a large one back to the system when it is freed, and keep many small ones for later. */
  #copiesOf(arrays: ReadonlyMap<string, Uint8Array>): Map<string, Uint8Array> {
    const result = new Map(arrays);
    const copied = [...arrays].filter(([, bytes]) => !(this.#port.sharesMemory && isShared(bytes)));
    const places = copied.map(([, { length }]) => Math.ceil(length / ALIGNED_BYTES) * ALIGNED_BYTES);
    const whole = new Uint8Array(places.reduce((sum, bytes) => sum + bytes, 0));
    let at = 0;
    for (const [i, [name, bytes]] of copied.entries()) {
      whole.set(bytes, at);
      result.set(name, whole.subarray(at, at + bytes.length));
      at += places[i];
    }
    return result;
  }

  /** What is sent instead of an array that its owner keeps: the array where the worker can read its memory, otherwise a copy. */
  copyOf<T extends Uint8Array | Float32Array | Int32Array>(array: T): T {
    return this.#port.sharesMemory && isShared(array) ? array : (array.slice() as T);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      const released = this.call({ method: 'close' });
      this.#ended ??= new TensorError('closed', `the ${this.class} runtime is closed`);
      await released.catch(() => {}); // a dead worker cannot release anything
      await this.#port.end();
    })();
    return this.#closing;
  }

  end(): Promise<void> {
    this.#end('it was ended');
    this.#closing ??= this.#port.end();
    return this.#closing;
  }

  #end(reason: string): void {
    this.#ended ??= new TensorError('runtime-died', `the ${this.class} runtime's worker has ended: ${reason}`);
    for (const { reject } of this.#pending.values()) reject(this.#ended);
    this.#pending.clear();
  }

  /** Sends one call with its transferred buffers, and awaits the answer. */
  call(call: Call, transfer: ArrayBuffer[] = []): Promise<Answer> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#lastId += 1;
      this.#port.send({ id: this.#lastId, call }, transfer);
      this.#pending.set(this.#lastId, { resolve, reject });
      if (this.#pending.size === 1) this.#port.setBusy(true);
    });
  }

  #settle(response: Response): void {
    const pending = this.#pending.get(response.id);
    if (pending === undefined) return;
    this.#pending.delete(response.id);
    if (this.#pending.size === 0) this.#port.setBusy(false);
    if ('error' in response) {
      const { code, message, details } = response.error;
      pending.reject(new TensorError(code, message, details));
    } else pending.resolve(response.answer);
  }
}

class WorkerProgram implements Program {
  readonly #runtime: WorkerRuntime;
  readonly #program: number;
  readonly #frozen: ReadonlySet<string>;
  /** The inputs of the last run that the worker reads in shared memory: each message costs by what it names. */
  #told: ReadonlyMap<string, TensorData> = new Map();
  #closed: Promise<void> | null = null;

  constructor(runtime: WorkerRuntime, program: number, frozen: ReadonlySet<string>) {
    this.#runtime = runtime;
    this.#program = program;
    this.#frozen = frozen;
  }

  async writeState(values: ReadonlyMap<string, Float32Array>): Promise<void> {
    this.#checkOpen('writeState');
    // The copy is transferred: cloning a view would copy the whole buffer behind it, and the caller keeps its own array.
    const copies = new Map(
      [...values].map(([name, data]) => {
        return [name, this.#frozen.has(name) ? this.#runtime.copyOf(data) : data.slice()] as const;
      }),
    );
    const call = { method: 'writeState', program: this.#program, values: copies } as const;
    await this.#runtime.call(call, ownBuffers(copies.values()));
  }

  async readState(names: Iterable<string>): Promise<Map<string, Float32Array>> {
    this.#checkOpen('readState');
    const call = { method: 'readState', program: this.#program, names: [...names] } as const;
    return (await this.#runtime.call(call)) as Map<string, Float32Array>;
  }

  async run(inputs: TensorMap): Promise<TensorMap> {
    this.#checkOpen('run');
    const sent: Record<string, TensorData> = {};
    const as_before: string[] = [];
    const told = new Map<string, TensorData>();
    for (const [name, { dtype, shape, data }] of Object.entries(inputs)) {
      const before = this.#told.get(name);
      const copy = this.#runtime.copyOf(data);
      if (before?.data === data && before.dtype === dtype && sameShape(before.shape, shape)) as_before.push(name);
      else sent[name] = { dtype, shape: [...shape], data: copy } as TensorData;
      if (copy === data) told.set(name, sent[name] ?? before);
    }
    this.#told = told;
    const call = { method: 'run', program: this.#program, inputs: sent, as_before } as const;
    try {
      return (await this.#runtime.call(
        call,
        ownBuffers(Object.values(sent).map((tensor) => tensor.data)),
      )) as TensorMap;
    } catch (error) {
      this.#told = new Map(); // the worker has forgotten them, too
      throw error;
    }
  }

  close(): Promise<void> {
    this.#closed ??= this.#runtime.call({ method: 'release', program: this.#program }).then(
      () => {},
      (error: TensorError) => {
        if (error.code !== 'closed' && error.code !== 'runtime-died') throw error; // it is closed already
      },
    );
    return this.#closed;
  }

  #checkOpen(call: string): void {
    if (this.#closed !== null) throw new TensorError('closed', `${call}: the program is closed`);
  }
}

/** The buffers that are handed over with a call. */
function ownBuffers(arrays: Iterable<ArrayBufferView>): ArrayBuffer[] {
  return [...new Set([...arrays].filter((array) => !isShared(array)).map((array) => array.buffer as ArrayBuffer))];
}

/** The runtime behind a worker that serves it with serveRuntime. */
export function runtimeOverWorker(runtimeClass: Runtime['class'], port: WorkerPort): SharingRuntime {
  return new WorkerRuntime(runtimeClass, port);
}
