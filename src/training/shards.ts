// A dataset: text tokenised once into content-addressed shards, with a manifest that names them and a validation split that nobody trains on.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import type { Tokenizer } from '../model/tokenizer.ts';
import { DataError } from './corpus-errors.ts';

/** One shard is fetched in a blink also on a slow line (64 KiB of two-byte tokens), and a megabyte of text gives thirty. */
const DEFAULT_SHARD_TOKENS = 32_768;
/** A corpus smaller than this many default shards gets smaller shards instead of fewer. */
const FEWEST_SHARDS = 32;
const SMALLEST_SHARD_TOKENS = 1024;
const LIMIT_SHARD_TOKENS = 16 * 2 ** 20;
/** Keeps a manifest, which every peer reads, below LIMIT_MANIFEST_BYTES. */
const LIMIT_SHARDS = 262_144;
const LIMIT_MANIFEST_BYTES = 32 * 2 ** 20;
const LIMIT_VOCAB = 262_144;
const DEFAULT_VALIDATION_FRACTION = 0.05;

/** "PLTS", the version, the bytes of a token, two zero bytes, the count (uint32, little-endian), four zero bytes. */
const MAGIC = [0x50, 0x4c, 0x54, 0x53];
const VERSION = 1;
const HEADER_BYTES = 16;

const HashSchema = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits');
const ShardSchema = z.strictObject({ hash: HashSchema, tokens: z.int().min(2).max(LIMIT_SHARD_TOKENS) });

export const DatasetManifestSchema = z
  .strictObject({
    version: z.literal(VERSION),
    /** The hash of the tokenizer.json blob. */
    tokenizer: HashSchema,
    vocab_size: z.int().min(2).max(LIMIT_VOCAB),
    token_bytes: z.literal([1, 2, 4]),
    train: z.array(ShardSchema).min(1).max(LIMIT_SHARDS),
    validation: z.array(ShardSchema).min(1).max(LIMIT_SHARDS),
  })
  .refine((m) => m.token_bytes === tokenBytes(m.vocab_size), { error: 'token_bytes does not follow from vocab_size' })
  .refine(
    ({ train, validation }) => {
      const held_out = new Set(validation.map(({ hash }) => hash));
      return !train.some(({ hash }) => held_out.has(hash));
    },
    { error: 'a shard is in both splits' },
  );

export type DatasetManifest = z.infer<typeof DatasetManifestSchema>;
export type ShardEntry = z.infer<typeof ShardSchema>;
/** The tokens of one shard, in the narrowest type that holds the vocabulary. */
export type ShardTokens = Uint8Array | Uint16Array | Uint32Array;

export interface DatasetOptions {
  /** Tokens in a shard; the last may have up to half more or fewer. Default: 32,768, fewer for a small corpus. */
  readonly shard_tokens?: number;
  /** The share of the tokens that is held out, in (0, 0.5]. Default 0.05. */
  readonly validation_fraction?: number;
}

function tokenBytes(vocab_size: number): 1 | 2 | 4 {
  if (vocab_size <= 2 ** 8) return 1;
  return vocab_size <= 2 ** 16 ? 2 : 4;
}

/** Writes a shard. Byte by byte, so that it is little-endian on every machine. */
function encodeShard(tokens: Uint32Array, token_bytes: 1 | 2 | 4): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + tokens.length * token_bytes);
  bytes.set([...MAGIC, VERSION, token_bytes]);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, tokens.length, true);
  for (let i = 0; i < tokens.length; i++) {
    const at = HEADER_BYTES + i * token_bytes;
    if (token_bytes === 1) bytes[at] = tokens[i];
    else if (token_bytes === 2) view.setUint16(at, tokens[i], true);
    else view.setUint32(at, tokens[i], true);
  }
  return bytes;
}

const corrupt = (fact: string, details = {}) => new DataError('corrupt-data', fact, details);

/**
 * Reads the tokens of a shard. Throws DataError `corrupt-data` when the header, the length or a token does not fit the manifest.
 * That the bytes are the ones that the manifest names is for the caller to check by their hash.
 */
export function decodeShard(
  bytes: Uint8Array,
  manifest: Pick<DatasetManifest, 'vocab_size' | 'token_bytes'>,
): ShardTokens {
  const { vocab_size, token_bytes } = manifest;
  const header = [...MAGIC, VERSION, token_bytes, 0, 0];
  if (bytes.length < HEADER_BYTES || header.some((value, at) => bytes[at] !== value)) {
    throw corrupt(`shard: expected the header of version ${VERSION} with ${token_bytes}-byte tokens`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(8, true);
  const expected = HEADER_BYTES + count * token_bytes;
  if (count > LIMIT_SHARD_TOKENS || view.getUint32(12, true) !== 0 || bytes.length !== expected) {
    throw corrupt(`shard: ${count} tokens take ${expected} bytes, got ${bytes.length}`, { count });
  }
  const tokens = new { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array }[token_bytes](count);
  for (let i = 0; i < count; i++) {
    const at = HEADER_BYTES + i * token_bytes;
    const token =
      token_bytes === 1 ? bytes[at] : token_bytes === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
    if (token >= vocab_size)
      throw corrupt(`shard: token ${token} at ${i}, the vocabulary has ${vocab_size}`, { token });
    tokens[i] = token;
  }
  return tokens;
}

/** The one encoding of a manifest: JSON with the keys in the order of the schema. Throws DataError `corrupt-data`. */
export function encodeManifest(manifest: DatasetManifest): Uint8Array {
  const parsed = DatasetManifestSchema.safeParse(manifest);
  if (!parsed.success) throw corrupt(`manifest: ${firstIssue(parsed.error)}`);
  const bytes = new TextEncoder().encode(JSON.stringify(parsed.data));
  if (bytes.length > LIMIT_MANIFEST_BYTES) {
    throw new DataError('too-large', `manifest: ${bytes.length} bytes, at most ${LIMIT_MANIFEST_BYTES}`);
  }
  return bytes;
}

/** Reads a manifest; anything but its one encoding is refused. Throws DataError `corrupt-data` or `too-large`. */
export function decodeManifest(bytes: Uint8Array): DatasetManifest {
  if (bytes.length > LIMIT_MANIFEST_BYTES) {
    throw new DataError('too-large', `manifest: ${bytes.length} bytes, at most ${LIMIT_MANIFEST_BYTES}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw corrupt('manifest: not JSON in UTF-8');
  }
  const parsed = DatasetManifestSchema.safeParse(value);
  if (!parsed.success) throw corrupt(`manifest: ${firstIssue(parsed.error)}`);
  const canonical = encodeManifest(parsed.data);
  if (canonical.length !== bytes.length || !canonical.every((byte, at) => byte === bytes[at])) {
    throw corrupt('manifest: not in its canonical form');
  }
  return parsed.data;
}

/** A queue of tokens in one growing buffer. */
function tokenQueue() {
  let buffer = new Uint32Array(2 * DEFAULT_SHARD_TOKENS);
  let start = 0;
  let end = 0;
  const reserve = (count: number) => {
    if (end + count <= buffer.length) return;
    const held = end - start;
    const larger = held + count > buffer.length ? new Uint32Array(2 * (held + count)) : buffer;
    larger.set(buffer.subarray(start, end));
    buffer = larger;
    start = 0;
    end = held;
  };
  return {
    length: () => end - start,
    push(ids: ArrayLike<number>) {
      reserve(ids.length);
      buffer.set(ids, end);
      end += ids.length;
    },
    /** Takes the first `count` tokens out. */
    take(count: number): Uint32Array {
      const tokens = buffer.slice(start, start + count);
      start += count;
      return tokens;
    },
  };
}

/** Puts shards, and decides for each whether it is held out: evenly spread, so that the split stands for the whole corpus. */
function splitter(token_bytes: 1 | 2 | 4, fraction: number, put: (bytes: Uint8Array) => Promise<string>) {
  const train: ShardEntry[] = [];
  const validation: ShardEntry[] = [];
  const trained = new Set<string>();
  const held_out = new Set<string>();
  let seen = 0;
  const add = async (tokens: Uint32Array, validate: boolean) => {
    if (train.length + validation.length >= LIMIT_SHARDS) {
      throw new DataError('too-large', `dataset: more than ${LIMIT_SHARDS} shards; choose larger shard_tokens`);
    }
    const hash = await put(encodeShard(tokens, token_bytes));
    // Text that repeats may give the same shard twice: what is held out must not be trained on under another number.
    if (validate && !trained.has(hash)) {
      validation.push({ hash, tokens: tokens.length });
      held_out.add(hash);
    } else if (!held_out.has(hash)) {
      train.push({ hash, tokens: tokens.length });
      trained.add(hash);
    }
  };
  return {
    train,
    validation,
    add,
    async addNext(tokens: Uint32Array) {
      const due = Math.floor((seen + 1) * fraction + 0.5) > Math.floor(seen * fraction + 0.5);
      seen++;
      await add(tokens, due);
    },
  };
}

function checkOptions(options: DatasetOptions): void {
  const { shard_tokens = DEFAULT_SHARD_TOKENS, validation_fraction = DEFAULT_VALIDATION_FRACTION } = options;
  if (!Number.isInteger(shard_tokens) || shard_tokens < 16 || shard_tokens > LIMIT_SHARD_TOKENS / 2) {
    throw new DataError(
      'bad-option',
      `shard_tokens: ${shard_tokens}, expected an integer in 16..${LIMIT_SHARD_TOKENS / 2}`,
    );
  }
  if (!(validation_fraction > 0 && validation_fraction <= 0.5)) {
    throw new DataError('bad-option', `validation_fraction: ${validation_fraction}, expected more than 0, at most 0.5`);
  }
}

/**
 * Tokenises documents into shards and hands each blob to `put`, which stores it and returns its SHA-256.
 * Documents follow each other with the tokenizer's end-of-text between them; a shard is a contiguous span of that stream.
 * Every n-th shard is validation. The same texts, tokenizer and options give the same manifest.
 * Memory: one document and at most about 32 default shards. Throws DataError `no-text`, `bad-option`, `too-large`.
 */
export async function buildDataset(
  texts: AsyncIterable<string> | Iterable<string>,
  tokenizer: Tokenizer,
  put: (bytes: Uint8Array) => Promise<string>,
  options: DatasetOptions = {},
): Promise<DatasetManifest> {
  checkOptions(options);
  const { shard_tokens, validation_fraction = DEFAULT_VALIDATION_FRACTION } = options;
  const token_bytes = tokenBytes(tokenizer.vocab_size);
  const queue = tokenQueue();
  const shards = splitter(token_bytes, validation_fraction, put);
  // Until the corpus is known to be large its tokens wait: a small one is cut into smaller shards.
  const size = shard_tokens ?? DEFAULT_SHARD_TOKENS;
  let waiting = shard_tokens === undefined ? FEWEST_SHARDS * size : 0;
  const separator = tokenizer.eos_id === null ? [] : [tokenizer.eos_id];
  for await (const text of texts) {
    const ids = tokenizer.encode(text);
    if (ids.length === 0) continue;
    queue.push(ids);
    queue.push(separator);
    if (queue.length() < waiting + 2 * size) continue;
    waiting = 0;
    while (queue.length() >= 2 * size) await shards.addNext(queue.take(size));
  }
  const last = waiting > 0 ? Math.max(SMALLEST_SHARD_TOKENS, Math.ceil(queue.length() / FEWEST_SHARDS)) : size;
  // The rest, too short for a shard of its own, joins the last one.
  while (queue.length() >= 1.5 * last) await shards.addNext(queue.take(last));
  const rest = queue.take(queue.length());
  if (shards.validation.length > 0) {
    if (rest.length >= 2) await shards.addNext(rest);
  } else {
    // Too few shards for one to fall to validation: the end of the text is held out, long enough for a few sequences.
    const total = shards.train.reduce((sum, { tokens }) => sum + tokens, rest.length);
    const wanted = Math.max(SMALLEST_SHARD_TOKENS, total * validation_fraction);
    const held_out = Math.floor(Math.min(rest.length / 2, wanted));
    if (held_out < 2) {
      throw new DataError('no-text', `dataset: ${rest.length} tokens are too few to learn from and to validate on`);
    }
    await shards.add(rest.subarray(0, rest.length - held_out), false);
    await shards.add(rest.subarray(rest.length - held_out), true);
    if (shards.validation.length === 0) {
      throw new DataError('no-text', 'dataset: the text only repeats itself; nothing of it can be held out');
    }
  }
  const { train, validation } = shards;
  const tokenizer_hash = await put(new TextEncoder().encode(tokenizer.json));
  const { vocab_size } = tokenizer;
  return { version: VERSION, tokenizer: tokenizer_hash, vocab_size, token_bytes, train, validation };
}
