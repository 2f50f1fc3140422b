// Turns text into a dataset: tokenised once, cut into shards whose size follows from the amount of text, then stored.
import type { Tokenizer } from '../model/tokenizer.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { DataError } from './corpus-errors.ts';
import {
  type DatasetManifest,
  encodeShard,
  HEADER_BYTES,
  LIMIT_SHARD_TOKENS,
  LIMIT_SHARDS,
  type ShardEntry,
  tokenBytes,
  VERSION,
} from './shards.ts';
import { memoryTokens, type TokenStore } from './token-store.ts';

/** A shard of this size downloads in a moment even on a slow line (64 KiB of two-byte tokens), and a megabyte of text gives thirty. */
const DEFAULT_SHARD_TOKENS = 32_768;
/** A corpus of fewer default shards than this gets smaller shards, not fewer. */
const FEWEST_SHARDS = 32;
const SMALLEST_SHARD_TOKENS = 1024;
/** A larger corpus gets larger shards, not more, up to this size of a blob: a hub takes this many at once from one owner, … */
const MANY_SHARDS = 2000;
/** … and a worker downloads two a round: more would take a slow line longer than the model does. docs/data.md has the figures. */
const LARGE_SHARD_BYTES = 512 * 1024;
const DEFAULT_VALIDATION_FRACTION = 0.05;
/** Parallel uploads: enough to fill a line with a round-trip time of 100 ms. */
const IN_FLIGHT = 12;

export interface DatasetOptions {
  /** Tokens in a shard; the last one may have up to half more or fewer. Without it the size follows from the text. */
  readonly shard_tokens?: number;
  /** The part of the tokens that is held out, in (0, 0.5]. Default 0.05. */
  readonly validation_fraction?: number;
}

/** A blob that is to be stored: a shard, or what a teacher says of one. */
export interface Piece {
  readonly hash: string;
  readonly size_bytes: number;
  read(): Promise<Uint8Array>;
}

/** A dataset that is not stored yet. */
export interface PreparedDataset {
  readonly manifest: DatasetManifest;
  readonly documents: number;
  readonly train_tokens: number;
  readonly validation_tokens: number;
  readonly shard_tokens: number;
  /** The bytes that storing it takes, without the tokenizer. */
  readonly shard_bytes: number;
  readonly pieces: readonly Piece[];
  readonly tokenizer: string;
  /** Releases the tokens. */
  close(): Promise<void>;
}

/** The shard size for a text of so many tokens. */
export function shardTokensFor(tokens: number, token_bytes: 1 | 2 | 4): number {
  // Two shards more than the target, so that the rest is not a shard of its own. Existing datasets depend on these sizes.
  if (tokens < (FEWEST_SHARDS + 2) * DEFAULT_SHARD_TOKENS) {
    return Math.max(SMALLEST_SHARD_TOKENS, Math.ceil(tokens / FEWEST_SHARDS));
  }
  let size = DEFAULT_SHARD_TOKENS;
  for (let bytes = 2 ** 17; ; bytes *= 2) {
    const most = bytes <= LARGE_SHARD_BYTES ? MANY_SHARDS : LIMIT_SHARDS;
    const larger = (bytes - HEADER_BYTES) / token_bytes;
    if (tokens / size <= most || larger > LIMIT_SHARD_TOKENS / 2) return size;
    size = Math.max(size, Math.floor(larger));
  }
}

function checkOptions({ shard_tokens, validation_fraction }: DatasetOptions): void {
  const most = LIMIT_SHARD_TOKENS / 2;
  if (shard_tokens !== undefined && !(Number.isInteger(shard_tokens) && shard_tokens >= 16 && shard_tokens <= most)) {
    throw new DataError('bad-option', `shard_tokens: ${shard_tokens}, expected an integer in 16..${most}`);
  }
  if (validation_fraction !== undefined && !(validation_fraction > 0 && validation_fraction <= 0.5)) {
    throw new DataError('bad-option', `validation_fraction: ${validation_fraction}, expected more than 0, at most 0.5`);
  }
}

/** Puts the tokens of documents into a store, each document followed by the tokenizer's end-of-text token. */
async function tokenise(
  texts: AsyncIterable<string> | Iterable<string>,
  tokenizer: Tokenizer,
  store: TokenStore,
): Promise<number> {
  const separator = tokenizer.eos_id === null ? [] : [tokenizer.eos_id];
  let documents = 0;
  for await (const text of texts) {
    const ids = tokenizer.encode(text);
    if (ids.length === 0) continue;
    documents++;
    await store.push(ids);
    await store.push(separator);
  }
  return documents;
}

/** Collects shards in order. Repeated text gives the same shard twice; such a shard is never in both splits. */
function collector(token_bytes: 1 | 2 | 4) {
  const train: ShardEntry[] = [];
  const validation: ShardEntry[] = [];
  const pieces = new Map<string, Piece>();
  const held_out = new Set<string>();
  const add = async (tokens: TokenStore, from: number, count: number, validate: boolean): Promise<void> => {
    if (train.length + validation.length >= LIMIT_SHARDS) {
      const most = `${LIMIT_SHARDS} pieces of ${LIMIT_SHARD_TOKENS / 2} tokens`;
      throw new DataError('too-large', `the text has ${tokens.length} tokens, more than ${most}`);
    }
    const read = async (): Promise<Uint8Array> => encodeShard(await tokens.read(from, count), token_bytes);
    const hash = sha256Hex(await read());
    const known = pieces.has(hash);
    if (validate && (!known || held_out.has(hash))) {
      validation.push({ hash, tokens: count });
      held_out.add(hash);
    } else if (!held_out.has(hash)) train.push({ hash, tokens: count });
    else return;
    if (!known) pieces.set(hash, { hash, size_bytes: HEADER_BYTES + count * token_bytes, read });
  };
  return { train, validation, pieces, add };
}
type Collector = ReturnType<typeof collector>;

/** All tokens of a store as shards of one split; a rest that is too short for a shard joins the last one. */
async function cutWhole(to: Collector, tokens: TokenStore, size: number, validate: boolean): Promise<void> {
  for (let from = 0; from < tokens.length; ) {
    const left = tokens.length - from;
    const count = left >= 1.5 * size ? size : left;
    if (count >= 2) await to.add(tokens, from, count, validate);
    from += count;
  }
}

/** The tokens of a store as shards, every n-th of which is held out, so that the held-out ones represent the whole text. */
async function cutAndSplit(to: Collector, tokens: TokenStore, size: number, fraction: number): Promise<void> {
  let seen = 0;
  let from = 0;
  const addNext = async (count: number): Promise<void> => {
    const due = Math.floor((seen + 1) * fraction + 0.5) > Math.floor(seen * fraction + 0.5);
    seen++;
    await to.add(tokens, from, count, due);
    from += count;
  };
  while (tokens.length - from >= 1.5 * size) await addNext(size);
  const rest = tokens.length - from;
  if (to.validation.length > 0) {
    if (rest >= 2) await addNext(rest);
    return;
  }
  // With too few shards for every n-th, the end of the text is held out, long enough for a few sequences.
  const wanted = Math.max(SMALLEST_SHARD_TOKENS, to.train.reduce((sum, shard) => sum + shard.tokens, rest) * fraction);
  const held_out = Math.floor(Math.min(rest / 2, wanted));
  if (held_out < 2) {
    throw new DataError('no-text', `dataset: ${rest} tokens are too few to learn from and to validate on`);
  }
  await to.add(tokens, from, rest - held_out, false);
  await to.add(tokens, from + rest - held_out, held_out, true);
  if (to.validation.length === 0) {
    throw new DataError('no-text', 'dataset: the text only repeats itself, so nothing of it can be held out');
  }
}

export interface TextsToLearn extends DatasetOptions {
  readonly texts: AsyncIterable<string> | Iterable<string>;
  /** Text that is held out instead of a part of the texts. */
  readonly validation_texts?: AsyncIterable<string> | Iterable<string>;
  readonly tokenizer: Tokenizer;
  /** Where the tokens are kept meanwhile; by default in memory. */
  readonly openTokens?: (token_bytes: 1 | 2 | 4) => TokenStore | Promise<TokenStore>;
}

/**
 * Tokenises documents and cuts them into shards; the same texts, tokenizer and options give the same manifest.
 * Documents follow each other with the tokenizer's end-of-text token between them; a shard is a contiguous span of that stream.
 * The caller closes the result. Throws DataError `no-text`, `bad-option`, `too-large`.
 */
export async function prepareDataset(options: TextsToLearn): Promise<PreparedDataset> {
  checkOptions(options);
  const { tokenizer, validation_texts, openTokens = memoryTokens } = options;
  const { validation_fraction = DEFAULT_VALIDATION_FRACTION } = options;
  const token_bytes = tokenBytes(tokenizer.vocab_size);
  const stores: TokenStore[] = [];
  const open = async (): Promise<TokenStore> => {
    const store = await openTokens(token_bytes);
    stores.push(store);
    return store;
  };
  const close = async (): Promise<void> => {
    for (const store of stores.splice(0)) await store.close();
  };
  try {
    const tokens = await open();
    const documents = await tokenise(options.texts, tokenizer, tokens);
    const sizeOf = (length: number): number => options.shard_tokens ?? shardTokensFor(length, token_bytes);
    const shards = collector(token_bytes);
    if (validation_texts) {
      const held_out = await open();
      await tokenise(validation_texts, tokenizer, held_out);
      await cutWhole(shards, held_out, sizeOf(held_out.length), true);
      await cutWhole(shards, tokens, sizeOf(tokens.length), false);
      const empty = shards.validation.length === 0 ? 'validate on' : shards.train.length === 0 ? 'learn from' : null;
      if (empty) throw new DataError('no-text', `dataset: the text to ${empty} is contained in the other text`);
    } else await cutAndSplit(shards, tokens, sizeOf(tokens.length), validation_fraction);
    const { train, validation } = shards;
    const { vocab_size, json } = tokenizer;
    const sum = (entries: readonly ShardEntry[]): number => entries.reduce((total, entry) => total + entry.tokens, 0);
    const pieces = [...shards.pieces.values()];
    return {
      manifest: {
        ...{ version: VERSION, tokenizer: sha256Hex(utf8(json)), vocab_size, token_bytes },
        ...{ train, validation },
      },
      ...{ documents, train_tokens: sum(train), validation_tokens: sum(validation) },
      shard_tokens: sizeOf(tokens.length),
      shard_bytes: pieces.reduce((bytes, { size_bytes }) => bytes + size_bytes, 0),
      ...{ pieces, tokenizer: json, close },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface DatasetStore {
  /** Stores a blob and returns its SHA-256. */
  put(bytes: Uint8Array): Promise<string>;
  /** Whether a blob is there already, so that an interrupted upload need not send it again. */
  has?(hash: string): Promise<boolean>;
  onProgress?(done_bytes: number, total_bytes: number): void;
}

/** Stores the shards, several at once, and then the tokenizer. */
export async function storeDataset(prepared: PreparedDataset, { put, has, onProgress }: DatasetStore): Promise<void> {
  const { pieces, shard_bytes } = prepared;
  let done_bytes = 0;
  let next = 0;
  // An interrupted upload has left the first shards. After so many missing ones, none is asked for any more.
  let absent = has ? 0 : IN_FLIGHT;
  const isThere = async (hash: string): Promise<boolean> => {
    if (!has || absent >= IN_FLIGHT) return false;
    const found = await has(hash);
    absent = found ? 0 : absent + 1;
    return found;
  };
  let failed = false;
  const one = async (): Promise<void> => {
    for (let piece = pieces[next++]; piece && !failed; piece = pieces[next++]) {
      const { hash, size_bytes, read } = piece;
      if (!(await isThere(hash))) await put(await read());
      done_bytes += size_bytes;
      onProgress?.(done_bytes, shard_bytes);
    }
  };
  const lines = Array.from({ length: IN_FLIGHT }, () =>
    one().catch((error) => {
      failed = true;
      throw error;
    }),
  );
  await Promise.allSettled(lines);
  await Promise.all(lines);
  await put(utf8(prepared.tokenizer));
}

/** Prepares a dataset and stores it; resolves to its manifest. Throws as `prepareDataset` does. */
export async function buildDataset(
  texts: AsyncIterable<string> | Iterable<string>,
  tokenizer: Tokenizer,
  put: (bytes: Uint8Array) => Promise<string>,
  options: DatasetOptions = {},
): Promise<DatasetManifest> {
  const prepared = await prepareDataset({ ...options, texts, tokenizer });
  try {
    await storeDataset(prepared, { put });
    return prepared.manifest;
  } finally {
    await prepared.close();
  }
}
