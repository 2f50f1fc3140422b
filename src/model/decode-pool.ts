// Sequences of one model, decoded together: weights are loaded once, and single tokens of several sequences are one run.
import type { Program, Runtime, TensorData, TensorMap } from '../tensor/runtime.ts';
import type { LlamaConfig, Weights } from './config.ts';
import { cacheNames, type DecodeModel, type DecodeOptions, decodeModel } from './decode-graph.ts';
import { type Chunk, embedded, InputMemory, mask, rotations } from './decode-inputs.ts';
import { ModelError } from './errors.ts';
import { joinValues } from './join-values.ts';
import { floats, KeyValueCache } from './key-value-cache.ts';

/** Tokens of a prompt in one run. Longer chunks are hardly faster, and nobody is heard before a run ends. */
const CHUNK_TOKENS = 128;
/** Sequences in one run: with more of them the weights are no longer what a run costs most. */
const MOST_TOGETHER = 16;
/** Sequences in one run are stacked to the length of the longest: none may be less than this part of it. */
const LEAST_ALIKE = 1 / 8;

/** What is wanted of the tokens that are appended. */
type Wanted = 'last' | 'all' | 'hidden';

/** One text in progress. Its owner does not append while an append is under way. */
export interface PooledSequence {
  readonly length: number;
  readonly capacity: number;
  /**
   * Appends tokens; the logits after the last one, or after all of them, or the hidden state of each. When it throws (the signal's reason,
   * ModelError `bad-input`) the sequence is as before.
   */
  append(ids: ArrayLike<number>, wanted: Wanted, signal?: AbortSignal): Promise<Float32Array>;
  /** Truncates to the first `length` tokens. Throws ModelError `bad-input`. */
  rewind(length: number): void;
  close(): void;
}

export interface DecodePool {
  /** Opens a sequence for up to `capacity` tokens. */
  open(capacity: number): PooledSequence;
  close(): Promise<void>;
}

interface Text {
  /** The order in which sequences stand side by side, whoever asked first. */
  readonly id: number;
  /** Its own, or a part of the stack's. */
  cache: KeyValueCache;
  length: number;
  state: 'idle' | 'busy' | 'closed';
}

interface Job {
  readonly text: Text;
  readonly ids: Int32Array;
  readonly wanted: Wanted;
  readonly signal: AbortSignal | undefined;
  /** Tokens before this job, and those of it that are done. */
  readonly before: number;
  done: number;
  readonly rows: Float32Array[];
  resolve(rows: Float32Array): void;
  reject(reason: unknown): void;
}

/** Loads a model for many sequences. Throws ModelError `wrong-weights`. */
export async function openDecodePool(
  runtime: Runtime,
  { config, weights }: { readonly config: LlamaConfig; readonly weights: Weights },
  stored: DecodeOptions['stored'] = 'f32',
): Promise<DecodePool> {
  // Only the native runtime reads states where they are; the others would copy the head at each run.
  const head_shared = runtime.class === 'native-cpu';
  const model = decodeModel(config, stored === 'f32' ? ownEmbedding(weights) : weights, { stored, head_shared });
  const program = await runtime.load(model.graph);
  if (model.states.size > 0) await program.writeState(model.states);
  freeCopies(model, weights);
  return new Pool(config, program, { ...model, graph: { ...model.graph, onnx: new Uint8Array(), beside: new Map() } });
}

/** Frees what was made for loading alone: quantised matrices, which would otherwise wait for a collection of garbage. */
function freeCopies({ graph, embedding }: DecodeModel, weights: Weights): void {
  const kept = new Set<ArrayBufferLike>([...weights.values()].map(({ buffer }) => buffer));
  for (const { buffer } of 'levels' in embedding ? [embedding.levels, embedding.scales] : [embedding]) kept.add(buffer);
  for (const { buffer } of graph.beside?.values() ?? []) {
    if (buffer instanceof ArrayBuffer && !kept.has(buffer) && !buffer.detached) buffer.transfer(0);
  }
}

/** The weights with a copy of the embedding, which is read for as long as the pool is open; in shared memory a runtime reads it there, too. */
function ownEmbedding(weights: Weights): Weights {
  const name = 'model.embed_tokens.weight';
  const embedding = weights.get(name);
  if (!embedding) return weights; // decodeModel says so
  const own = floats(embedding.length);
  own.set(embedding);
  return new Map([...weights, [name, own]]);
}

class Pool implements DecodePool {
  readonly #config: LlamaConfig;
  readonly #program: Program;
  readonly #model: DecodeModel;
  readonly #waiting: Job[] = [];
  readonly #memory = new InputMemory();
  #open = 0;
  #opened = 0;
  #running: Promise<void> | null = null;
  #closed = false;
  #stack: Stack | null = null;

  constructor(config: LlamaConfig, program: Program, model: DecodeModel) {
    this.#config = config;
    this.#program = program;
    this.#model = model;
  }

  open(capacity: number): PooledSequence {
    const cache = new KeyValueCache(this.#config);
    const text: Text = { id: this.#opened++, cache, length: 0, state: 'idle' };
    const bad = (fact: string) => new ModelError('bad-input', `decoder: ${fact}`);
    const { vocab_size } = this.#config;
    this.#open++;
    return {
      capacity,
      get length() {
        return text.length;
      },
      append: async (tokens, wanted, signal) => {
        signal?.throwIfAborted();
        if (this.#closed || text.state !== 'idle') {
          throw bad(text.state === 'busy' ? 'an append is under way' : 'it is closed');
        }
        if (tokens.length === 0) throw bad('append needs at least one token');
        if (text.length + tokens.length > capacity) {
          throw bad(`${text.length} + ${tokens.length} tokens, the decoder holds ${capacity}`);
        }
        const ids = Int32Array.from(tokens);
        const wrong = ids.findIndex((id, i) => id !== tokens[i] || id < 0 || id >= vocab_size);
        if (wrong >= 0) throw bad(`the token ${tokens[wrong]} is not in 0..${vocab_size - 1}`);
        return new Promise<Float32Array>((resolve, reject) => {
          text.state = 'busy';
          this.#waiting.push({ text, ids, wanted, signal, before: text.length, done: 0, rows: [], resolve, reject });
          this.#running ??= this.#runAll();
        });
      },
      rewind: (to) => {
        if (text.state === 'busy') throw bad('rewind while an append is under way');
        if (!Number.isInteger(to) || to < 0 || to > text.length) {
          throw bad(`rewind to ${to}, but the sequence has ${text.length} tokens`);
        }
        text.length = to;
      },
      close: () => {
        if (text.state !== 'closed') this.#open--;
        text.state = 'closed';
        if (this.#stack?.isOver()) this.#unstack();
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const job of [...this.#waiting]) this.#fail(job, new ModelError('bad-input', 'decoder: it is closed'));
    await this.#running;
    await this.#program.close();
    this.#stack = null;
  }

  async #runAll(): Promise<void> {
    for (;;) {
      // Whoever was answered just now gets the time to ask for the next token, so that the next run has all of them.
      if (this.#open > 1) await nextTurn();
      this.#dropAborted();
      const jobs = this.#nextJobs();
      if (jobs.length === 0) break;
      try {
        await this.#runTogether(jobs);
      } catch (error) {
        for (const job of jobs) this.#fail(job, error);
      }
    }
    this.#running = null;
  }

  #dropAborted(): void {
    for (const job of [...this.#waiting]) if (job.signal?.aborted) this.#fail(job, job.signal.reason);
  }

  #fail(job: Job, reason: unknown): void {
    this.#remove(job);
    job.text.length = job.before;
    if (job.text.state === 'busy') job.text.state = 'idle';
    job.reject(reason);
  }

  #remove(job: Job): void {
    const at = this.#waiting.indexOf(job);
    if (at >= 0) this.#waiting.splice(at, 1);
  }

  /** The job that has waited longest: alone if it has many tokens, otherwise with others that have one token left. */
  #nextJobs(): Job[] {
    const [first] = this.#waiting;
    if (!first) return [];
    const single = (job: Job): boolean => job.ids.length - job.done === 1;
    if (!single(first)) return [first];
    const length = ({ text }: Job): number => text.length + 1;
    const together = this.#waiting.filter((job) => {
      const [shorter, longer] = [length(job), length(first)].sort((a, b) => a - b);
      return single(job) && shorter >= LEAST_ALIKE * longer;
    });
    // The same sequences stand in the same order in each run: then their caches are there already.
    return together.slice(0, MOST_TOGETHER).sort((a, b) => a.text.id - b.text.id);
  }

  async #runTogether(jobs: readonly Job[]): Promise<void> {
    const [first] = jobs;
    const chunk = Math.min(CHUNK_TOKENS, first.ids.length - first.done);
    const texts = jobs.map(({ text }) => text);
    const chunks: Chunk[] = jobs.map(({ text, ids, done }) => ({
      ids: ids.subarray(done, done + chunk),
      start: text.length,
    }));
    if (jobs.length === 1) first.text.cache.reserve(first.text.length + chunk);
    const cache = jobs.length === 1 ? first.text.cache : this.#stacked(texts);
    const wanted =
      first.wanted === 'all' && jobs.length === 1 ? [...Array(chunk).keys()] : jobs.map((_, i) => (i + 1) * chunk - 1);
    const { logits, hidden, fresh } = await this.#program.run(this.#inputs(chunks, cache, wanted));
    for (const [i, job] of jobs.entries()) {
      if (!this.#waiting.includes(job)) continue; // the pool was closed meanwhile
      job.text.cache.reserve(job.text.length + chunk); // it may have left the stack meanwhile
      job.text.cache.write(fresh.data as Float32Array, i, chunk, job.text.length);
      job.text.length += chunk;
      job.done += chunk;
      const source = job.wanted === 'hidden' ? hidden : logits;
      const rows = source.data as Float32Array;
      job.rows.push(jobs.length === 1 ? rows : rowOf(rows, i, jobs.length));
    }
    for (const job of jobs) this.#advance(job);
  }

  /** Answers a job that is done; another goes to the end of the queue, so that a long prompt does not hold up those who write. */
  #advance(job: Job): void {
    if (!this.#waiting.includes(job)) return;
    this.#remove(job);
    if (job.signal?.aborted) this.#fail(job, job.signal.reason);
    else if (job.done < job.ids.length) this.#waiting.push(job);
    else {
      if (job.text.state === 'busy') job.text.state = 'idle';
      job.resolve(job.wanted === 'last' ? job.rows.at(-1)! : joinValues(job.rows));
    }
  }

  #inputs(chunks: readonly Chunk[], cache: KeyValueCache, wanted: readonly number[]): TensorMap {
    const { hidden_size, num_key_value_heads: kv_heads, head_dim, sliding_window } = this.#config;
    const { held } = cache;
    const batch = chunks.length;
    const inputs: Record<string, TensorData> = {
      embedded: embedded(this.#memory, chunks, this.#model, hidden_size),
      rotation: rotations(this.#memory, chunks, this.#config),
      mask: mask(this.#memory, chunks, held, sliding_window),
      wanted: { dtype: 'int32', shape: [wanted.length], data: Int32Array.from(wanted) },
    };
    for (const [layer, { keys, values }] of cache.layers.entries()) {
      const names = cacheNames(layer);
      inputs[names.keys] = { dtype: 'float32', shape: [batch, kv_heads, head_dim, held], data: keys };
      inputs[names.values] = { dtype: 'float32', shape: [batch, kv_heads, held, head_dim], data: values };
    }
    return inputs;
  }

  /** The caches of these sequences side by side, with room for a token each: those of the last run, if they still are the same. */
  #stacked(texts: readonly Text[]): KeyValueCache {
    if (!this.#stack?.fits(texts)) {
      const stack = new Stack(this.#config, texts);
      this.#unstack();
      this.#stack = stack;
    }
    return this.#stack!.reserved();
  }

  #unstack(): void {
    this.#stack?.release();
    this.#stack = null;
  }
}

/** The caches of several sequences in one memory, of which each one's own cache becomes a part. It is kept from run to run. */
class Stack {
  readonly #texts: readonly Text[];
  readonly #cache: KeyValueCache;

  constructor(config: LlamaConfig, texts: readonly Text[]) {
    this.#texts = [...texts];
    this.#cache = new KeyValueCache(config, texts.length);
    this.#cache.reserve(this.#room);
    for (const [i, { cache, length }] of texts.entries()) this.#cache.take(cache, length, i);
    this.#divide();
  }

  get #room(): number {
    return Math.max(...this.#texts.map(({ length }) => length + 1));
  }

  /** Whether these are its sequences, and none has grown out of it. */
  fits(texts: readonly Text[]): boolean {
    return texts.length === this.#texts.length && texts.every((text, i) => text === this.#texts[i] && this.#has(text));
  }

  /** Whether at most one sequence is left, which would keep the memory of all. */
  isOver(): boolean {
    return this.#texts.filter(({ state }) => state !== 'closed').length <= 1;
  }

  /** The memory of all, with room for one more token each. */
  reserved(): KeyValueCache {
    if (this.#room > this.#cache.held) {
      this.#cache.reserve(this.#room);
      this.#divide();
    }
    return this.#cache;
  }

  /** Gives those who are still here memory of their own, so that none of them keeps that of all. */
  release(): void {
    for (const text of this.#texts) {
      if (text.state !== 'closed' && this.#has(text)) text.cache = text.cache.copy(text.length);
    }
  }

  #has({ cache }: Text): boolean {
    return cache.isIn(this.#cache);
  }

  #divide(): void {
    for (const [i, text] of this.#texts.entries()) text.cache = this.#cache.part(i);
  }
}

const rowOf = (rows: Float32Array, row: number, count: number): Float32Array => {
  const width = rows.length / count;
  return rows.slice(row * width, (row + 1) * width);
};

/** Resolves when everything has run that was already waiting, also in a tab, where timers would wait for milliseconds. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
