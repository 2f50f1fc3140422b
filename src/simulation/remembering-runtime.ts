// A runtime that computes nothing twice: it caches the outputs of each graph by its states and inputs. In an arena many judges of one runtime
// class repeat the same steps of the same work, and in the next row of a table honest devices repeat everything. The cache's keys are hashes of
// the contents, so it changes no value: a device with another state computes for itself.
import { createHash } from 'node:crypto';
import { TensorError } from '../tensor/errors.ts';
import type { CompiledGraph, Program, Runtime, TensorMap } from '../tensor/runtime.ts';
import { sizeOf } from '../tensor/shape.ts';

/** The size of the cache; beyond it the oldest result is dropped, and computed again on demand. */
const REMEMBERED_BYTES = 1 << 29;

/** A cached result, and the processor time of its computation. */
interface Remembered {
  readonly values: TensorMap;
  readonly cpu_ms: number;
  readonly bytes: number;
}

export interface RememberingRuntime extends Runtime {
  /**
   * Processor time that the callers would have spent without the cache: the original time of cached results, minus the time for loading
   * a shared program and restoring a device's state in it. Add it to the measured time of a device.
   */
  readonly spared_ms: number;
}

/** Over a runtime of one thread; closes it when it is closed. All programs of one graph share one loaded program. */
export function rememberingRuntime(inner: Runtime): RememberingRuntime {
  const memory = new Memory();
  const shared = new Map<string, Promise<SharedProgram>>();
  return {
    class: inner.class,
    get spared_ms() {
      return memory.spared_ms;
    },
    async load(graph) {
      if (memory.closed) throw closed();
      const before = process.cpuUsage();
      const words = JSON.stringify([graph.inputs, graph.outputs, graph.states]);
      // Weights beside the bytes belong to the graph: another model of the same form computes something else.
      const key = digestOf([words, graph.onnx, ...[...(graph.beside ?? [])].flat()]);
      const program = shared.get(key) ?? inner.load(graph).then((loaded) => new SharedProgram(key, graph, loaded));
      shared.set(key, program);
      program.catch(() => shared.delete(key));
      const own = new RememberingProgram(memory, await program);
      memory.spared_ms -= cpuSince(before);
      return own;
    },
    async close() {
      memory.closed = true;
      await memory.idle;
      await inner.close();
    },
  };
}

const closed = (): TensorError => new TensorError('closed', 'this program, or its runtime, is closed');

class Memory {
  spared_ms = 0;
  closed = false;
  /** When all calls so far are done. */
  idle: Promise<unknown> = Promise.resolve();
  readonly #kept = new Map<string, Remembered>();
  #bytes = 0;

  get(key: string): Remembered | undefined {
    const found = this.#kept.get(key);
    if (found) {
      // The most recently used result is dropped last.
      this.#kept.delete(key);
      this.#kept.set(key, found);
    }
    return found;
  }

  put(key: string, values: TensorMap, cpu_ms: number): void {
    const bytes = Object.values(values).reduce((sum, { data }) => sum + data.byteLength, 0);
    this.#kept.set(key, { values: copyOf(values), cpu_ms, bytes });
    this.#bytes += bytes;
    for (const [oldest, { bytes: freed }] of this.#kept) {
      if (this.#bytes <= REMEMBERED_BYTES) return;
      this.#kept.delete(oldest);
      this.#bytes -= freed;
    }
  }
}

/** The one loaded program of a graph; devices use it in turns. */
class SharedProgram {
  readonly key: string;
  readonly graph: CompiledGraph;
  readonly #program: Program;
  #turn: Promise<unknown> = Promise.resolve();
  /** Of each state, the id of the value that the program holds. */
  holds: ReadonlyMap<string, string> = new Map();

  constructor(key: string, graph: CompiledGraph, program: Program) {
    this.key = key;
    this.graph = graph;
    this.#program = program;
  }

  /** Waits for its turn. */
  use<T>(work: (program: Program) => Promise<T>): Promise<T> {
    const result = this.#turn.then(() => work(this.#program));
    this.#turn = result.catch(() => {}); // the caller sees the error
    return result;
  }
}

type Step = { readonly write: ReadonlyMap<string, Float32Array> } | { readonly run: TensorMap };

class RememberingProgram implements Program {
  readonly #memory: Memory;
  readonly #shared: SharedProgram;
  /** For each state the key of its value: a hash of its content if it was written, the key of its computation if it was computed. */
  readonly #ids = new Map<string, string>();
  /** The key of all states together, unless a state was written since the last run. */
  #last: string | null = null;
  /** All states at one point, and the steps since: how to restore this program's states. */
  #base = new Map<string, Float32Array>();
  #since: Step[] = [];
  #closed = false;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(memory: Memory, shared: SharedProgram) {
    this.#memory = memory;
    this.#shared = shared;
    for (const { name, shape } of shared.graph.states) {
      this.#ids.set(name, 'zero');
      this.#base.set(name, new Float32Array(sizeOf(shape)));
    }
  }

  writeState(values: ReadonlyMap<string, Float32Array>): Promise<void> {
    return this.#inTurn(() =>
      this.#sparing(async () => {
        const isState = ([name, data]: [string, Float32Array]): boolean =>
          data instanceof Float32Array && this.#base.get(name)?.length === data.length;
        if (![...values].every(isState)) {
          // The inner program throws the error that says why.
          await this.#shared.use((program) => program.writeState(values));
          throw new TensorError('bad-argument', 'writeState: the runtime beneath takes what this one does not');
        }
        const own = new Map([...values].map(([name, data]) => [name, data.slice()]));
        for (const [name, data] of own) this.#ids.set(name, digestOf([bytesOf(data)]));
        this.#last = null;
        this.#since.push({ write: own });
        this.#rebase();
        return 0;
      }),
    );
  }

  /** If all states were written since the last run, earlier steps are not needed any more. */
  #rebase(): void {
    const written = new Map<string, Float32Array>();
    for (const step of this.#since.toReversed()) {
      if (!('write' in step)) break;
      for (const [name, data] of step.write) if (!written.has(name)) written.set(name, data);
    }
    if (written.size < this.#base.size) return;
    this.#base = written;
    this.#since = [];
  }

  readState(names: Iterable<string>): Promise<Map<string, Float32Array>> {
    const wanted = [...names];
    return this.#inTurn(() => this.#read(wanted));
  }

  async #read(wanted: readonly string[]): Promise<Map<string, Float32Array>> {
    const ids = wanted.map((name) => [name, this.#ids.get(name) ?? null]);
    const key = digestOf([this.#shared.key, JSON.stringify(['states', ids])]);
    const values = await this.#recall(key, async (program) => {
      const read = await program.readState(wanted);
      return Object.fromEntries(
        [...read].map(([name, data]) => [name, { dtype: 'float32' as const, shape: [data.length], data }]),
      );
    });
    return new Map(Object.entries(values).map(([name, { data }]) => [name, data as Float32Array]));
  }

  run(inputs: TensorMap): Promise<TensorMap> {
    return this.#inTurn(() => this.#run(inputs));
  }

  async #run(inputs: TensorMap): Promise<TensorMap> {
    const given = Object.entries(inputs).sort(([a], [b]) => (a < b ? -1 : 1));
    const forms = given.map(([name, { dtype, shape }]) => [name, dtype, shape]);
    const key = digestOf([
      this.#shared.key,
      JSON.stringify(['run', this.#last ?? [...this.#ids].sort(), forms]),
      ...given.map(([, { data }]) => bytesOf(data)),
    ]);
    const outputs = await this.#recall(key, (program) => program.run(inputs), true);
    for (const { name, next } of this.#shared.graph.states) if (next !== null) this.#ids.set(name, key);
    this.#last = key;
    this.#since.push({ run: copyOf(inputs) });
    return outputs;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #inTurn<T>(call: () => Promise<T>): Promise<T> {
    if (this.#closed || this.#memory.closed) throw closed();
    const result = this.#turn.then(call);
    this.#turn = result.catch(() => {}); // the caller sees the error
    this.#memory.idle = Promise.all([this.#memory.idle, this.#turn]);
    return result;
  }

  /** The cached result, or a new one; `moves`: the computation changes the states of the shared program to those of this one. */
  async #recall(key: string, compute: (program: Program) => Promise<TensorMap>, moves = false): Promise<TensorMap> {
    const known = this.#memory.get(key);
    if (known) {
      this.#memory.spared_ms += known.cpu_ms;
      return copyOf(known.values);
    }
    let values: TensorMap = {};
    await this.#sparing(() =>
      this.#shared.use(async (program) => {
        await this.#bring(program);
        // After an error the shared program has nobody's states.
        const held = this.#shared.holds;
        this.#shared.holds = new Map();
        const before = process.cpuUsage();
        values = await compute(program);
        const cpu_ms = cpuSince(before);
        this.#shared.holds = moves ? this.#after(key) : held;
        this.#memory.put(key, values, cpu_ms);
        return cpu_ms;
      }),
    );
    return values;
  }

  #after(key: string): Map<string, string> {
    const ids = new Map(this.#ids);
    for (const { name, next } of this.#shared.graph.states) if (next !== null) ids.set(name, key);
    return ids;
  }

  /** Restores this program's states in the shared program. */
  async #bring(program: Program): Promise<void> {
    const { holds } = this.#shared;
    if ([...this.#ids].every(([name, id]) => holds.get(name) === id)) return;
    this.#shared.holds = new Map();
    await program.writeState(this.#base);
    for (const step of this.#since) {
      if ('write' in step) await program.writeState(step.write);
      else await program.run(step.run);
    }
    this.#shared.holds = new Map(this.#ids);
  }

  /** Does something that counts with the returned processor time, whatever it really takes. */
  async #sparing(work: () => Promise<number>): Promise<void> {
    const before = process.cpuUsage();
    const owed_ms = await work();
    this.#memory.spared_ms += owed_ms - cpuSince(before);
  }
}

function cpuSince(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

function digestOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}\n`).update(part);
  return hash.digest('hex');
}

function copyOf(values: TensorMap): TensorMap {
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { ...value, data: value.data.slice() }]),
  ) as TensorMap;
}
