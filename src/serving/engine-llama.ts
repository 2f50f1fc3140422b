// llama.cpp as an engine, in the process that calls it. Files come from anybody and its code is C++, so that whoever serves runs this in a
// child process (engine-process.ts).
import { availableParallelism } from 'node:os';
import { type GgufHeader, readGgufHeader } from '../model/gguf-header.ts';
import type { Engine, EngineModel, Sequence } from './engine.ts';
import { ServingError } from './errors.ts';
import { ggufTokens, ggufTokenTable } from './gguf-tokens.ts';
import { LlamaBatches } from './llama-batch.ts';
import { type LlamaContext, type LoadedLlama, loadLlama } from './llama-package.ts';
import { checkGguf, quantisationOf } from './open-gguf.ts';
import { checkAppend, checkRewind } from './sequence-checks.ts';
import { mostThreads } from './serving-threads.ts';

const LIMITS = {
  sequences: 64, // each has a cache of its own
  batch_tokens: 64, // a prompt is read in such pieces: long enough to multiply efficiently, short enough to be aborted soon
} as const;
/** ggml's numbers of the types that a cache is kept in. */
const CACHE_TYPES = { f32: 0, f16: 1 } as const;

export interface LlamaOptions {
  /** SHA-256 in hex of the file. */
  readonly hash: string;
  /** Tokens of one sequence; by default the model's own, at most 4096, since each sequence's cache is allocated. */
  readonly context_tokens?: number;
  /** How many sequences there are. */
  readonly sequences?: number;
  /** 1 … one fewer than the cores. */
  readonly threads?: number;
  /** What the cache is kept in; by default exact where the weights are. */
  readonly cache?: keyof typeof CACHE_TYPES;
}

const USUAL_CONTEXT = 4096;

export interface LlamaEngine extends Engine {
  /** From the next batch on: a device's owner may have come back. */
  setThreads(threads: number): void;
}

function integer(what: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  throw new ServingError('bad-input', `llama.cpp: ${what} ${value}, expected an integer in 1..${most}`);
}

/**
 * Opens a GGUF file whose header our reader has found sound. Throws ModelError and ServingError: `missing-file`, `corrupt-file`,
 * `too-large`, `unsupported`, `no-engine`, `bad-input`.
 */
export async function openLlamaEngine(path: string, options: LlamaOptions): Promise<LlamaEngine> {
  const header = await readGgufHeader(path);
  const { train_tokens } = checkGguf(header);
  const context_tokens = integer(
    'context_tokens',
    options.context_tokens ?? Math.min(train_tokens, USUAL_CONTEXT),
    train_tokens,
  );
  const sequences = integer('sequences', options.sequences ?? 1, LIMITS.sequences);
  const threads = integer('threads', options.threads ?? 1, mostThreads(availableParallelism()));
  const quantisation = quantisationOf(header);
  const cache = options.cache ?? (quantisation === 'f32' ? 'f32' : 'f16');
  const loaded = await loadLlama();
  checkArchitecture(loaded, header);
  const { llama, version } = loaded;
  const refused = async (code: 'corrupt-file' | 'too-large', what: string): Promise<ServingError> =>
    new ServingError(code, `llama.cpp ${what}: ${await loaded.errors()}`);
  const model = new llama.AddonModel(path, { addonExports: llama, gpuLayers: 0, useMmap: true, checkTensors: true });
  if (!(await model.init())) throw await refused('corrupt-file', 'does not take the file');
  const context = new llama.AddonContext(model, {
    contextSize: sequences * padded(context_tokens),
    batchSize: LIMITS.batch_tokens,
    ...{ sequences, threads, flashAttention: false, swaFullCache: true },
    ...{ kvCacheKeyType: CACHE_TYPES[cache], kvCacheValueType: CACHE_TYPES[cache] },
  });
  const isOpen = await context.init().catch(() => false);
  if (!isOpen) {
    await model.dispose();
    throw await refused('too-large', `has no memory for ${sequences} x ${context_tokens} tokens`);
  }
  const sampler = new llama.AddonSampler(model);
  sampler.applyConfig({});
  const tokens = ggufTokenTable(
    ggufTokens(header),
    (text, special) => model.tokenize(text, special),
    (id) => model.isEogToken(id),
  );
  return new OpenLlama({
    model: { hash: options.hash, quantisation, context_tokens, tokens },
    class: `llama.cpp of node-llama-cpp ${version}, cpu, cache in ${cache}`,
    ...{ sequences, context },
    batches: new LlamaBatches(context, sampler, tokens.vocab_size, LIMITS.batch_tokens),
    async free() {
      sampler.dispose();
      await context.dispose();
      await model.dispose();
    },
  });
}

/** llama.cpp gives each sequence whole blocks of its cache. */
const padded = (tokens: number): number => Math.ceil(tokens / 256) * 256;

function checkArchitecture({ llama }: LoadedLlama, { metadata }: GgufHeader): void {
  const architecture = String(metadata.get('general.architecture'));
  const refuse = (why: string) => new ServingError('unsupported', `GGUF: the architecture "${architecture}" ${why}`);
  if (!llama.getIsArchSupported(architecture)) throw refuse('is not known to llama.cpp');
  // A state that only goes forward: an answer could not be taken back by a token.
  if (llama.getIsArchRecurrent(architecture) || llama.getIsArchHybrid(architecture)) throw refuse('cannot be rewound');
}

interface Parts {
  readonly model: EngineModel;
  readonly class: string;
  readonly sequences: number;
  readonly context: LlamaContext;
  readonly batches: LlamaBatches;
  free(): Promise<void>;
}

class OpenLlama implements LlamaEngine {
  readonly name = 'llama.cpp';
  readonly class: string;
  readonly model: EngineModel;
  readonly #parts: Parts;
  readonly #free: number[];
  readonly #open = new Set<LlamaSequence>();
  #closing: Promise<void> | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.class = parts.class;
    this.model = parts.model;
    this.#free = Array.from({ length: parts.sequences }, (_, place) => place);
  }

  get free_tokens(): number {
    return this.#free.length * this.model.context_tokens;
  }

  async openSequence(capacity: number = this.model.context_tokens): Promise<Sequence> {
    if (this.#closing) throw closed();
    integer('capacity', capacity, this.model.context_tokens);
    const place = this.#free.pop();
    if (place === undefined) {
      const fact = `all ${this.#parts.sequences} sequences are in use`;
      throw new ServingError('no-room', `llama.cpp: ${fact}`, { capacity, free_tokens: 0 });
    }
    const { batches } = this.#parts;
    const { vocab_size } = this.model.tokens;
    const sequence = new LlamaSequence(batches, { place, capacity, vocab_size }, () => {
      this.#open.delete(sequence);
      this.#free.push(place);
    });
    this.#open.add(sequence);
    return sequence;
  }

  setThreads(threads: number): void {
    if (this.#closing) throw closed();
    this.#parts.context.setThreads(integer('threads', threads, mostThreads(availableParallelism())));
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#parts.batches.stop(closed());
      for (const sequence of this.#open) sequence.end();
      await this.#parts.free();
    })();
    return this.#closing;
  }
}

const closed = () => new ServingError('engine-ended', 'llama.cpp: the engine is closed');

interface Place {
  readonly place: number;
  readonly capacity: number;
  readonly vocab_size: number;
}

class LlamaSequence implements Sequence {
  readonly #batches: LlamaBatches;
  readonly #at: Place;
  readonly #onClose: () => void;
  #length = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(batches: LlamaBatches, at: Place, onClose: () => void) {
    this.#batches = batches;
    this.#at = at;
    this.#onClose = onClose;
  }

  get length(): number {
    return this.#length;
  }

  append(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, false, signal);
  }

  score(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, true, signal);
  }

  rewind(length: number): void {
    if (this.#closing) throw new ServingError('bad-input', 'sequence: it is closed');
    checkRewind(length, this.#length);
    if (length === this.#length) return;
    this.#length = length;
    this.#batches.truncate(this.#at.place, length);
  }

  close(): Promise<void> {
    this.#closing ??= this.#queue.then(() => {
      this.#batches.truncate(this.#at.place, 0);
      this.#onClose();
    });
    return this.#closing;
  }

  /** The engine is closed: there is nothing to give back any more. */
  end(): void {
    this.#closing ??= Promise.resolve();
  }

  #run(tokens: ArrayLike<number>, all: boolean, signal: AbortSignal | undefined): Promise<Float32Array> {
    if (this.#closing) return Promise.reject(new ServingError('bad-input', 'sequence: it is closed'));
    const ids = Array.from(tokens);
    const result = this.#queue.then(async () => {
      signal?.throwIfAborted();
      checkAppend(ids, { ...this.#at, length: this.#length });
      const logits = await this.#batches.append(this.#at.place, this.#length, Uint32Array.from(ids), all, signal);
      this.#length += ids.length;
      return logits;
    });
    this.#queue = result.catch(() => {}); // the caller handles the error
    return result;
  }
}
