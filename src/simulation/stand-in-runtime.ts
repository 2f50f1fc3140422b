// A runtime that computes nothing, at once and always the same: what a stage's graphs give and leave follows from the bits of what they get. For
// histories in which stages talk to each other, where it matters who computed what from which bytes, and not what a model learns.
import type { CompiledGraph, Program, Runtime, TensorData, TensorMap } from '../tensor/runtime.ts';
import { sizeOf } from '../tensor/shape.ts';

export interface StandIn {
  /** What goes over a boundary. */
  readonly rows: number;
  readonly columns: number;
  readonly batch: number;
  /** Resolves when a device has run a graph, of so many parts of its work. */
  ran(kind: StandInKind, parts: number): Promise<void>;
}

/** A backward pass is the forward pass again, and twice as much for the gradients. */
const PARTS = { forward: 1, losses: 1, backward: 3, step: 1 } as const;
export type StandInKind = keyof typeof PARTS;

/** Losses lie between this and a little more, so that no model is much worse than another. */
const LOSS = 2;

/** Of the class whose results have the same bits everywhere, so that judges compare them exactly. Runs stages of float32 boundaries. */
export function standInRuntime(options: StandIn): Runtime {
  return {
    class: 'wasm',
    load: async (graph) => new StandInProgram(options, graph, new Map()),
    loadSharing: async (graph, owner) => new StandInProgram(options, graph, (owner as StandInProgram).states),
    close: async () => {},
  };
}

class StandInProgram implements Program {
  readonly states: Map<string, Float32Array>;
  readonly #options: StandIn;
  readonly #graph: CompiledGraph;
  readonly #kind: StandInKind;

  constructor(options: StandIn, graph: CompiledGraph, states: Map<string, Float32Array>) {
    this.#options = options;
    this.#graph = graph;
    this.states = states;
    this.#kind = kindOf(graph);
    for (const { name, shape } of graph.states)
      if (!states.has(name)) states.set(name, new Float32Array(sizeOf(shape)));
  }

  async writeState(values: ReadonlyMap<string, Float32Array>): Promise<void> {
    for (const [name, data] of values) this.states.get(name)!.set(data);
  }

  async readState(names: Iterable<string>): Promise<Map<string, Float32Array>> {
    return new Map([...names].map((name) => [name, this.states.get(name)!.slice()]));
  }

  async run(inputs: TensorMap): Promise<TensorMap> {
    await this.#options.ran(this.#kind, PARTS[this.#kind]);
    const digest = new Digest(this.#kind);
    for (const name of Object.keys(inputs).sort()) digest.add(inputs[name].data);
    for (const { name } of this.#graph.states) digest.add(this.states.get(name)!);
    const outputs = Object.fromEntries(this.#graph.outputs.map((name) => [name, this.#output(name, digest)]));
    for (const { name, next } of this.#graph.states) if (next !== null) this.#advance(name, digest);
    return outputs;
  }

  async close(): Promise<void> {}

  #output(name: string, digest: Digest): TensorData {
    const { rows, columns, batch } = this.#options;
    const shape = name === 'losses' ? [batch] : ['sent', 'returned'].includes(name) ? [rows, columns] : [];
    const data = new Float32Array(sizeOf(shape)).map(() => digest.next());
    if (name.startsWith('loss')) for (const [i, value] of data.entries()) data[i] = LOSS + value / 100;
    return { dtype: 'float32', shape, data };
  }

  #advance(name: string, digest: Digest): void {
    const state = this.states.get(name)!;
    if (this.#kind === 'step' && name.endsWith('/gradient')) state.fill(0);
    else for (let i = 0; i < state.length; i++) state[i] += (digest.next() - 0.5) / 100;
  }
}

function kindOf({ outputs }: CompiledGraph): StandInKind {
  if (outputs.includes('sent')) return 'forward';
  if (outputs.includes('gradient_norm')) return 'step';
  return outputs.includes('losses') ? 'losses' : 'backward';
}

/** FNV-1a over words of 32 bits; then numbers in [0, 1) that follow from it (xorshift). */
class Digest {
  #word = 0x811c9dc5;

  constructor(kind: string) {
    for (let i = 0; i < kind.length; i++) this.#mix(kind.charCodeAt(i));
  }

  add({ buffer, byteOffset, length }: Float32Array | Int32Array): void {
    for (const word of new Uint32Array(buffer, byteOffset, length)) this.#mix(word);
  }

  next(): number {
    let word = this.#word || 1;
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    this.#word = word >>> 0;
    return this.#word / 2 ** 32;
  }

  #mix(word: number): void {
    this.#word = Math.imul(this.#word ^ word ^ (this.#word >>> 15), 0x01000193) >>> 0;
  }
}
