// Our own decoder as an engine: a model of the Llama family on any runtime of ours, in Node and in a tab.
import type { LlamaConfig, Weights } from '../model/config.ts';
import { type Decoder, openDecoder } from '../model/generate.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Engine, EngineModel, Sequence } from './engine.ts';
import { ServingError } from './errors.ts';
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
}

/** Opens the engine; `runtime` stays its caller's. Throws ServingError `bad-input` for options out of range. */
export async function openOwnEngine(
  runtime: Runtime,
  { config, weights, tokenizer, hash }: OwnModel,
  options: OwnEngineOptions = {},
): Promise<Engine> {
  const context_tokens = config.max_position_embeddings;
  const { cache_tokens = context_tokens } = options;
  checkCount('cache_tokens', cache_tokens, Number.MAX_SAFE_INTEGER);
  const tokens = tokenTable(tokenizer, config.vocab_size);
  const model: EngineModel = { hash, quantisation: 'f32', context_tokens, tokens };
  const open = new Set<Sequence>();
  let free_tokens = cache_tokens;
  let closed = false;

  return {
    name: 'own',
    class: `own, ${runtime.class}`,
    model,
    get free_tokens() {
      return free_tokens;
    },
    async openSequence(capacity = context_tokens) {
      if (closed) throw new ServingError('engine-ended', 'engine: it is closed');
      checkCount('capacity', capacity, context_tokens);
      if (capacity > free_tokens) {
        const fact = `a sequence of ${capacity} tokens was asked for, ${free_tokens} are free`;
        throw new ServingError('no-room', `engine: ${fact}`, { capacity, free_tokens });
      }
      free_tokens -= capacity;
      let decoder: Decoder;
      try {
        decoder = await openDecoder(runtime, { config, weights }, capacity);
      } catch (error) {
        free_tokens += capacity;
        throw error;
      }
      const sequence = new OwnSequence(decoder, config.vocab_size, () => {
        free_tokens += capacity;
        open.delete(sequence);
      });
      open.add(sequence);
      return sequence;
    },
    async close() {
      closed = true;
      await Promise.all([...open].map((sequence) => sequence.close()));
    },
  };
}

function checkCount(what: string, count: number, most: number): void {
  if (Number.isInteger(count) && count >= 1 && count <= most) return;
  throw new ServingError('bad-input', `engine: ${what} ${count}, expected an integer in 1..${most}`);
}

class OwnSequence implements Sequence {
  readonly #decoder: Decoder;
  readonly #vocab_size: number;
  readonly #onClose: () => void;
  #queue: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  constructor(decoder: Decoder, vocab_size: number, onClose: () => void) {
    this.#decoder = decoder;
    this.#vocab_size = vocab_size;
    this.#onClose = onClose;
  }

  get length(): number {
    return this.#decoder.length();
  }

  append(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, signal, (ids) => this.#decoder.append(ids));
  }

  score(tokens: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    return this.#run(tokens, signal, async (ids) => {
      const rows = new Float32Array(ids.length * this.#vocab_size);
      for (const [i, id] of ids.entries()) {
        signal?.throwIfAborted();
        rows.set(await this.#decoder.append([id]), i * this.#vocab_size);
      }
      return rows;
    });
  }

  rewind(length: number): void {
    const now = this.#decoder.length();
    if (!Number.isInteger(length) || length < 0 || length > now) {
      throw new ServingError('bad-input', `sequence: rewind to ${length}, but it has ${now} tokens`);
    }
    this.#decoder.rewind(length);
  }

  close(): Promise<void> {
    this.#closing ??= this.#queue.then(async () => {
      await this.#decoder.close();
      this.#onClose();
    });
    return this.#closing;
  }

  #run<T>(tokens: ArrayLike<number>, signal: AbortSignal | undefined, task: (ids: number[]) => Promise<T>): Promise<T> {
    if (this.#closing) return Promise.reject(new ServingError('bad-input', 'sequence: it is closed'));
    const ids = Array.from(tokens);
    const result = this.#queue.then(async () => {
      signal?.throwIfAborted();
      const before = this.#decoder.length();
      this.#check(ids);
      try {
        const answer = await task(ids);
        signal?.throwIfAborted();
        return answer;
      } catch (error) {
        this.#decoder.rewind(before);
        throw error;
      }
    });
    this.#queue = result.catch(() => {}); // the caller handles the error
    return result;
  }

  #check(ids: readonly number[]): void {
    if (ids.length === 0) throw new ServingError('bad-input', 'sequence: at least one token is needed');
    const { capacity } = this.#decoder;
    const length = this.#decoder.length();
    if (length + ids.length > capacity) {
      const fact = `${length} + ${ids.length} tokens, there is room for ${capacity}`;
      throw new ServingError('bad-input', `sequence: ${fact}`, { length, tokens: ids.length, capacity });
    }
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= this.#vocab_size);
    if (wrong === undefined) return;
    throw new ServingError('bad-input', `sequence: the token ${wrong} is not in 0..${this.#vocab_size - 1}`);
  }
}
