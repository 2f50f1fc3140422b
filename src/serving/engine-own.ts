// Our own decoder as an engine: a model of the Llama family on any runtime of ours, in Node and in a tab.
import type { LlamaConfig, Weights } from '../model/config.ts';
import { openDecodePool, type PooledSequence } from '../model/decode-pool.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Engine, EngineModel, Quantisation, Sequence } from './engine.ts';
import { ServingError } from './errors.ts';
import { checkAppend, checkRewind } from './sequence-checks.ts';
import { tokenTable } from './token-table.ts';

export interface OwnModel {
  readonly config: LlamaConfig;
  readonly weights: Weights;
  readonly tokenizer: Tokenizer;
  /** SHA-256 in hex of the model's manifest. */
  readonly hash: string;
}

export interface OwnEngineOptions {
  /** Tokens of cache for all sequences together; by default as many as one sequence of the full context needs. */
  readonly cache_tokens?: number;
  /** f32 by default. With 8 and 4 bits the native kernels round activations to 8 bits, as llama.cpp does; those of WASM do not. */
  readonly quantisation?: Exclude<Quantisation, 'f16'>;
}

/** Changes when the same weights and tokens may give other bits. */
const VERSION = 2;

/**
 * Opens the engine; `runtime` stays its caller's, and so do the weights. Throws ServingError `bad-input` for options out of range, ModelError
 * `wrong-weights`.
 */
export async function openOwnEngine(
  runtime: Runtime,
  { config, weights, tokenizer, hash }: OwnModel,
  options: OwnEngineOptions = {},
): Promise<Engine> {
  const context_tokens = config.max_position_embeddings;
  const { cache_tokens = context_tokens, quantisation = 'f32' } = options;
  checkCount('cache_tokens', cache_tokens, Number.MAX_SAFE_INTEGER);
  const tokens = tokenTable(tokenizer, config.vocab_size);
  const model: EngineModel = { hash, quantisation, context_tokens, tokens };
  const pool = await openDecodePool(runtime, { config, weights }, quantisation);
  const open = new Set<Sequence>();
  let free_tokens = cache_tokens;
  let closed = false;

  const openSequence = async (capacity = context_tokens): Promise<OwnSequence> => {
    if (closed) throw new ServingError('engine-ended', 'engine: it is closed');
    checkCount('capacity', capacity, context_tokens);
    if (capacity > free_tokens) {
      const fact = `a sequence of ${capacity} tokens was asked for, ${free_tokens} are free`;
      throw new ServingError('no-room', `engine: ${fact}`, { capacity, free_tokens });
    }
    free_tokens -= capacity;
    const sequence = new OwnSequence(pool.open(capacity), config.vocab_size, () => {
      free_tokens += capacity;
      open.delete(sequence);
    });
    open.add(sequence);
    return sequence;
  };

  return {
    name: 'own',
    class: `own ${VERSION}, ${runtime.class}, ${quantisation}`,
    model,
    get free_tokens() {
      return free_tokens;
    },
    openSequence,
    async embed(tokens, signal) {
      const sequence = await openSequence(Math.min(context_tokens, Math.max(1, tokens.length)));
      try {
        return ofUnitLength(meanOfRows(await sequence.hidden(tokens, signal), tokens.length));
      } finally {
        await sequence.close();
      }
    },
    async close() {
      closed = true;
      await pool.close();
      await Promise.all([...open].map((sequence) => sequence.close()));
    },
  };
}

function checkCount(what: string, count: number, most: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new ServingError('bad-input', `engine: ${what} ${count}, expected an integer in 1..${most}`);
}

function meanOfRows(rows: Float32Array, count: number): Float32Array {
  const mean = new Float32Array(rows.length / count);
  for (const [i, value] of rows.entries()) mean[i % mean.length] += value / count;
  return mean;
}

function ofUnitLength(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length === 0 ? vector : vector.map((value) => value / length);
}

class OwnSequence implements Sequence {
  readonly #sequence: PooledSequence;
  readonly #vocab_size: number;
  readonly #onClose: () => void;
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(sequence: PooledSequence, vocab_size: number, onClose: () => void) {
    this.#sequence = sequence;
    this.#vocab_size = vocab_size;
    this.#onClose = onClose;
  }

  get length(): number {
    return this.#sequence.length;
  }

  append(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, 'last', signal);
  }

  score(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, 'all', signal);
  }

  /** Appends tokens; returns the final hidden state of each, [tokens, width]. */
  hidden(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, 'hidden', signal);
  }

  rewind(length: number): void {
    checkRewind(length, this.#sequence.length);
    this.#sequence.rewind(length);
  }

  close(): Promise<void> {
    this.#closing ??= this.#queue.then(() => {
      this.#sequence.close();
      this.#onClose();
    });
    return this.#closing;
  }

  #run(
    tokens: ArrayLike<number>,
    wanted: 'last' | 'all' | 'hidden',
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    if (this.#closing) return Promise.reject(new ServingError('bad-input', 'sequence: it is closed'));
    const ids = Array.from(tokens);
    const result = this.#queue.then(() => {
      signal?.throwIfAborted();
      const { length, capacity } = this.#sequence;
      checkAppend(ids, { length, capacity, vocab_size: this.#vocab_size });
      return this.#sequence.append(ids, wanted, signal);
    });
    this.#queue = result.catch(() => {}); // the caller handles the error
    return result;
  }
}
