// Text from a model: a decoder with a key–value cache, and streaming.
import type { Runtime } from '../tensor/runtime.ts';
import type { LlamaConfig, Weights } from './config.ts';
import { openDecodePool } from './decode-pool.ts';
import { ModelError } from './errors.ts';
import { PLAIN_SAMPLING, sampleToken } from './sampling.ts';
import { streamDecoder, type Tokenizer } from './tokenizer.ts';

/** A model that is ready to generate. It holds one sequence, so two generations must not use it at once. */
export interface Decoder {
  /** The most tokens of a sequence. */
  readonly capacity: number;
  /** Appends at least one token and returns the logits of the next token, [vocab_size]. Throws ModelError `bad-input`. */
  append(tokens: ArrayLike<number>): Promise<Float32Array>;
  /** The number of tokens in the sequence. */
  length(): number;
  /** Truncates the sequence to its first `length` tokens; 0 starts a new one. */
  rewind(length?: number): void;
  close(): Promise<void>;
}

/**
 * Loads a decoder for sequences of up to `capacity` tokens (at most max_position_embeddings, the default).
 * Memory: the weights, and about 2 · layers · length · kv_heads · head_dim floats of cache.
 */
export async function openDecoder(
  runtime: Runtime,
  { config, weights }: { readonly config: LlamaConfig; readonly weights: Weights },
  capacity: number = config.max_position_embeddings,
): Promise<Decoder> {
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > config.max_position_embeddings) {
    const most = config.max_position_embeddings;
    throw new ModelError('bad-input', `decoder: capacity ${capacity}, expected an integer in 1..${most}`);
  }
  const pool = await openDecodePool(runtime, { config, weights });
  const sequence = pool.open(capacity);
  return {
    capacity,
    length: () => sequence.length,
    append: (tokens) => sequence.append(tokens, 'last'),
    rewind: (to = 0) => sequence.rewind(to),
    close: () => pool.close(),
  };
}

export interface GenerateOptions {
  readonly prompt: string;
  /** As in model/sampling.ts; both 1 where they are missing. */
  readonly temperature?: number;
  readonly top_p?: number;
  readonly max_tokens: number;
  /** The same seed gives the same text; on runtimes whose logits differ in their last bits, nearly always. */
  readonly seed?: string | number;
  readonly signal?: AbortSignal;
  /** Called with the progress: when the prompt is read, and after each token. */
  readonly onProgress?: (progress: GenerateProgress) => void;
}

export interface GenerateProgress {
  /** Tokens of the prompt, including a beginning-of-text token. */
  readonly prompt_tokens: number;
  /** How many of them the model has read: only the last ones, if there are more than it can hold. */
  readonly read_tokens: number;
  readonly written_tokens: number;
  /** Whether the model ended the text by itself. */
  readonly end_of_text: boolean;
}

function checkOptions({ max_tokens, temperature = 1, top_p = 1 }: GenerateOptions): void {
  const bad = (fact: string) => new ModelError('bad-input', `generate: ${fact}`);
  if (!Number.isInteger(max_tokens) || max_tokens < 1)
    throw bad(`max_tokens ${max_tokens}, expected an integer from 1`);
  if (!(temperature >= 0 && temperature <= 100)) throw bad(`temperature ${temperature}, expected 0..100`);
  if (!(top_p > 0 && top_p <= 1)) throw bad(`top_p ${top_p}, expected more than 0, at most 1`);
}

/** When the decoder is full, this part of its tokens stays; the rest of the room is for new tokens. */
const keptOf = (capacity: number): number => Math.max(1, Math.floor(capacity / 2));

/**
 * Continues a prompt with an open decoder, token by token, as pieces of text that never end within a character.
 * The prompt itself is not repeated. Of a prompt longer than the decoder's capacity the last part is read. When the decoder is full, it
 * goes on from the last half of its tokens. Ends at end-of-text, after `max_tokens`, or when aborted; then it throws the signal's
 * reason. Throws ModelError `bad-input` for options out of range and for prompts without a token.
 */
export async function* generateWith(
  decoder: Decoder,
  tokenizer: Tokenizer,
  options: GenerateOptions,
): AsyncGenerator<string> {
  checkOptions(options);
  const { prompt, max_tokens, seed = 0, temperature = 1, top_p = 1, signal, onProgress } = options;
  const rule = { ...PLAIN_SAMPLING, seed: String(seed), temperature, top_p };
  const text = streamDecoder(tokenizer);
  const asked = promptIds(tokenizer, prompt);
  let held = asked.slice(-decoder.capacity);
  const counted = { prompt_tokens: asked.length, read_tokens: held.length };
  const tell = (written_tokens: number, end_of_text: boolean): void =>
    onProgress?.({ ...counted, written_tokens, end_of_text });
  decoder.rewind();
  signal?.throwIfAborted();
  let logits = await decoder.append(held);
  tell(0, false);
  for (let count = 1; ; count++) {
    signal?.throwIfAborted();
    // A model may have more rows than its tokenizer has tokens; such a row is never text.
    const possible = logits.subarray(0, tokenizer.vocab_size);
    for (const unused of tokenizer.unused_ids ?? []) possible[unused] = Number.NEGATIVE_INFINITY;
    const id = sampleToken(possible, rule, { position: asked.length + count - 1 });
    const ends = id === tokenizer.eos_id;
    tell(ends ? count - 1 : count, ends);
    if (ends) break;
    const piece = text.push(id);
    if (piece !== '') yield piece;
    if (count >= max_tokens) break;
    held.push(id);
    if (held.length <= decoder.capacity) {
      logits = await decoder.append([id]);
      continue;
    }
    held = held.slice(-keptOf(decoder.capacity));
    decoder.rewind();
    logits = await decoder.append(held);
  }
  const rest = text.end();
  if (rest !== '') yield rest;
}

/** The ids of a prompt; a sequence starts with the beginning-of-text token if the tokenizer has one. */
function promptIds(tokenizer: Tokenizer, prompt: string): number[] {
  const ids = Array.from(tokenizer.encode(prompt));
  if (tokenizer.bos_id !== null && ids[0] !== tokenizer.bos_id) ids.unshift(tokenizer.bos_id);
  if (ids.length > 0) return ids;
  const fact = prompt === '' ? 'the prompt is empty' : 'the tokenizer has no token for any of the prompt';
  throw new ModelError('bad-input', `generate: ${fact}, and the tokenizer has no beginning-of-text token`);
}

/**
 * Continues a prompt: opens a decoder of the size needed, streams the text as `generateWith` does, and closes it.
 * For many generations with one model, open a decoder once.
 */
export async function* generate(
  runtime: Runtime,
  {
    config,
    weights,
    tokenizer,
  }: { readonly config: LlamaConfig; readonly weights: Weights; readonly tokenizer: Tokenizer },
  options: GenerateOptions,
): AsyncGenerator<string> {
  checkOptions(options);
  const wanted = promptIds(tokenizer, options.prompt).length + options.max_tokens;
  const decoder = await openDecoder(runtime, { config, weights }, Math.min(config.max_position_embeddings, wanted));
  try {
    yield* generateWith(decoder, tokenizer, options);
  } finally {
    await decoder.close();
  }
}
