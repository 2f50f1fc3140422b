// Several workers as one runtime: one runs whole graphs with all threads, and members run the graphs of a stage in parallel; alone it does both.
// Threads inside one graph wait for each other at every operator; threads with graphs of their own wait only once a stage.
import { TensorError } from './errors.ts';
import { elementCount } from './onnx.ts';
import type { CompiledGraph, Program, Runtime, StagedGraph, StagedPart, TensorMap } from './runtime.ts';
import type { SharedStates, SharingRuntime } from './runtime-client.ts';

const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** A runtime with up to `width` members beside `whole`, which runs ordinary graphs. Each member starts on first use. */
export class TeamRuntime implements Runtime {
  readonly class: Runtime['class'];
  readonly staged: NonNullable<Runtime['staged']>;
  readonly #start: { whole(): SharingRuntime; member(): SharingRuntime };
  readonly #members: SharingRuntime[] = [];
  #whole: SharingRuntime | null = null;
  #closed = false;

  constructor(
    runtimeClass: Runtime['class'],
    width: number,
    start: { whole(): SharingRuntime; member(): SharingRuntime },
  ) {
    this.class = runtimeClass;
    this.staged = { width, load: (graph) => this.#loadStaged(graph) };
    this.#start = start;
  }

  async load(graph: CompiledGraph): Promise<Program> {
    this.#checkOpen();
    return this.#wholeRuntime().load(graph);
  }

  async loadSharing(graph: CompiledGraph, owner: Program): Promise<Program> {
    this.#checkOpen();
    return this.#wholeRuntime().loadSharing(graph, owner);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#whole, ...this.#members].map((runtime) => runtime?.close()));
  }

  #wholeRuntime(): SharingRuntime {
    this.#whole ??= this.#start.whole();
    return this.#whole;
  }

  #checkOpen(): void {
    if (this.#closed) throw new TensorError('closed', `the ${this.class} runtime is closed`);
  }

  async #loadStaged(graph: StagedGraph): Promise<Program> {
    this.#checkOpen();
    const shared = sharedStates(graph.stages);
    while (this.#members.length < Math.max(...graph.stages.map((stage) => stage.length))) {
      this.#members.push(this.staged.width === 1 ? this.#wholeRuntime() : this.#start.member());
    }
    const loaded = async (part: StagedPart, member: number): Promise<LoadedPart> => {
      const states = new Map(part.graph.states.map(({ name }) => [name, shared.get(memoryOf(part, name))!] as const));
      return { ...part, program: await this.#members[member].load(part.graph, states) };
    };
    const stages = await Promise.all(graph.stages.map((stage) => Promise.all(stage.map(loaded))));
    return new StagedProgram(stages, shared, graph);
  }
}

interface LoadedPart extends StagedPart {
  readonly program: Program;
}

const memoryOf = ({ memory }: StagedPart, state: string): string => memory?.get(state) ?? state;

/** Memory for every state, zeroed. Throws `bad-graph` where one part of a stage writes what another uses. */
function sharedStates(stages: StagedGraph['stages']): SharedStates {
  const shared = new Map<string, Float32Array>();
  for (const stage of stages) {
    const uses = stage.flatMap((part) =>
      part.graph.states.map(({ name, next, shape }) => ({
        memory: memoryOf(part, name),
        writes: next !== null,
        length: elementCount(shape),
      })),
    );
    const users = new Map<string, number>();
    for (const { memory } of uses) users.set(memory, (users.get(memory) ?? 0) + 1);
    for (const { memory, writes, length } of uses) {
      if (writes && users.get(memory)! > 1) {
        throw new TensorError('bad-graph', `load: one part writes "${memory}" while another uses it`);
      }
      const values = shared.get(memory) ?? new Float32Array(new SharedArrayBuffer(length * FLOAT_BYTES));
      if (values.length !== length) {
        throw new TensorError(
          'bad-graph',
          `load: "${memory}" has ${values.length} values in one part, ${length} in another`,
        );
      }
      shared.set(memory, values);
    }
  }
  return shared;
}

/** The loaded graphs of all stages. Calls queue here, so that no call touches the states during a run. */
class StagedProgram implements Program {
  readonly #stages: readonly (readonly LoadedPart[])[];
  readonly #states: SharedStates;
  readonly #graph: StagedGraph;
  readonly #inputs: ReadonlySet<string>;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #closed: Promise<void> | null = null;

  constructor(stages: readonly (readonly LoadedPart[])[], states: SharedStates, graph: StagedGraph) {
    this.#stages = stages;
    this.#states = states;
    this.#graph = graph;
    this.#inputs = new Set(stages.flat().flatMap((part) => part.graph.inputs));
  }

  async writeState(values: ReadonlyMap<string, Float32Array>): Promise<void> {
    for (const [name, { length }] of values) {
      const expected = this.#state('writeState', name).length;
      if (length === expected) continue;
      throw new TensorError('bad-length', `writeState: state "${name}" holds ${expected} values, got ${length}`);
    }
    const write = (entries: Iterable<readonly [string, Float32Array]>): void => {
      for (const [name, data] of entries) this.#state('writeState', name).set(data);
    };
    // The arrays are copied at once because the caller may go on using them; directly to their place where no run is under way.
    if (this.#waiting === 0 && this.#closed === null) return write(values);
    const copies = [...values].map(([name, data]) => [name, data.slice()] as const);
    await this.#queued('writeState', async () => write(copies));
  }

  readState(names: Iterable<string>): Promise<Map<string, Float32Array>> {
    const wanted = [...names];
    return this.#queued('readState', async () => {
      return new Map(wanted.map((name) => [name, Float32Array.from(this.#state('readState', name))] as const));
    });
  }

  run(inputs: TensorMap): Promise<TensorMap> {
    return this.#queued('run', async () => {
      const unknown = Object.keys(inputs).find((name) => !this.#inputs.has(name));
      if (unknown !== undefined) throw new TensorError('unknown-name', `run: there is no input "${unknown}"`);
      let known = inputs;
      for (const stage of this.#stages) {
        // Wait for all before passing on an error, so that the next call finds the states at rest.
        const ended = await Promise.allSettled(stage.map((part) => runPart(part, known)));
        const failed = ended.find((result) => result.status === 'rejected');
        if (failed) {
          for (const name of this.#graph.scratch) this.#state('run', name).fill(0);
          throw failed.reason;
        }
        known = Object.assign({}, known, ...ended.map((result) => (result as PromiseFulfilledResult<TensorMap>).value));
      }
      return chosen(known, this.#graph.outputs);
    });
  }

  close(): Promise<void> {
    this.#closed ??= this.#queue.then(async () => {
      await Promise.all(this.#stages.flat().map(({ program }) => program.close()));
    });
    return this.#closed;
  }

  #state(call: string, name: string): Float32Array {
    const values = this.#states.get(name);
    if (values === undefined) throw new TensorError('unknown-name', `${call}: there is no state "${name}"`);
    return values;
  }

  #queued<T>(call: string, task: () => Promise<T>): Promise<T> {
    if (this.#closed !== null) return Promise.reject(new TensorError('closed', `${call}: the program is closed`));
    this.#waiting++;
    const result = this.#queue.then(task).finally(() => this.#waiting--);
    this.#queue = result.catch(() => {}); // the caller handles the error
    return result;
  }
}

/** All runs of a part; the outputs are those of the last. */
async function runPart({ graph, program, runs = [{}] }: LoadedPart, inputs: TensorMap): Promise<TensorMap> {
  // All are sent at once: the member queues them, and need not wait for this side in between.
  const results = runs.map((own) => program.run({ ...chosen(inputs, graph.inputs), ...own }));
  const ended = await Promise.allSettled(results);
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
  return results.at(-1)!;
}

/** The tensors of these names. A missing one is left out; the graph that needs it reports it. */
function chosen(tensors: TensorMap, names: readonly string[]): TensorMap {
  return Object.fromEntries(names.filter((name) => name in tensors).map((name) => [name, tensors[name]]));
}
