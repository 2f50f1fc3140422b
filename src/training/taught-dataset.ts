// A dataset of texts whose tokens a teacher has written or read: shards as in dataset.ts, with what the teacher says beside those to learn from.
import type { Tokenizer } from '../model/tokenizer.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { DataError } from './corpus-errors.ts';
import { shardTokensFor } from './dataset.ts';
import { type DatasetManifest, encodeShard, type ShardEntry, tokenBytes, VERSION } from './shards.ts';
import { encodeSoftRows, type Likely } from './soft-shards.ts';
import { ARRAYS } from './token-store.ts';

/** Of so many shards nobody learns from one, the second: a teacher that goes away early leaves a dataset too. */
const ONE_HELD_OUT_OF = 20;
/** A teacher's tokens may be few and dear: there are several shards even then. */
const SMALLEST_SHARD_TOKENS = 256;
const SHARDS = 32;
/** Fewer tokens than this say little of a model, whether they are learned or measured. */
export const LEAST_TAUGHT_TOKENS = 16 * SMALLEST_SHARD_TOKENS;

/** A text as its tokens, and for each the likeliest at its place; none where the teacher has not said it. */
export interface TaughtText {
  readonly ids: readonly number[];
  readonly rows: readonly (readonly Likely[])[];
}

export interface TaughtOptions {
  readonly tokenizer: Tokenizer;
  /** How many of the likeliest tokens are kept. */
  readonly top: number;
  /** About how many tokens will come: the size of the shards follows from it. */
  readonly expected_tokens: number;
  /** Stores a blob and returns its SHA-256. */
  put(bytes: Uint8Array): Promise<string>;
}

/** A stored dataset. */
export interface TaughtDataset {
  readonly manifest: DatasetManifest;
  readonly texts: number;
  readonly train_tokens: number;
  readonly validation_tokens: number;
}

/**
 * Cuts texts into shards as they come and stores each at once, so that memory holds one shard only, and last the tokenizer. After each text
 * comes the tokenizer's end-of-text token. Throws DataError `no-text` where too few tokens came.
 */
export async function buildTaughtDataset(
  texts: AsyncIterable<TaughtText> | Iterable<TaughtText>,
  { tokenizer, top, expected_tokens, put }: TaughtOptions,
): Promise<TaughtDataset> {
  const { vocab_size, eos_id } = tokenizer;
  const token_bytes = tokenBytes(vocab_size);
  const usual = shardTokensFor(expected_tokens, token_bytes);
  const size = Math.min(usual, Math.max(SMALLEST_SHARD_TOKENS, Math.ceil(expected_tokens / SHARDS)));
  const train: ShardEntry[] = [];
  const validation: ShardEntry[] = [];
  const known = new Set<string>();
  let ids: number[] = [];
  let rows: (readonly Likely[])[] = [];
  let shards = 0;

  const cut = async (count: number): Promise<void> => {
    const tokens = ARRAYS[token_bytes].from(ids.slice(0, count));
    const bytes = encodeShard(new Uint8Array(tokens.buffer), token_bytes);
    const said = rows.slice(0, count);
    [ids, rows] = [ids.slice(count), rows.slice(count)];
    const hash = sha256Hex(bytes);
    if (known.has(hash)) return; // a teacher that repeats itself teaches nothing by it
    known.add(hash);
    const held_out = shards % ONE_HELD_OUT_OF === 1;
    shards++;
    await put(bytes);
    if (held_out) validation.push({ hash, tokens: count });
    else train.push({ hash, tokens: count, soft: await put(encodeSoftRows(said, top, token_bytes)) });
  };

  let count = 0;
  for await (const text of texts) {
    if (text.ids.length !== text.rows.length) {
      throw new DataError('bad-record', `a taught text: ${text.ids.length} tokens and ${text.rows.length} rows`);
    }
    if (text.ids.length === 0) continue;
    count++;
    for (const [i, id] of text.ids.entries()) {
      ids.push(id);
      rows.push(text.rows[i]);
    }
    if (eos_id !== null) {
      ids.push(eos_id);
      rows.push([]);
    }
    while (ids.length >= size) await cut(size);
  }
  if (ids.length >= 2) await cut(ids.length);
  const sum = (entries: readonly ShardEntry[]): number => entries.reduce((total, { tokens }) => total + tokens, 0);
  if (train.length === 0 || validation.length === 0) {
    throw new DataError('no-text', `a teacher's ${sum(train)} tokens are too few to learn from and to validate on`);
  }
  const tokenizer_hash = await put(utf8(tokenizer.json));
  return {
    manifest: { version: VERSION, tokenizer: tokenizer_hash, vocab_size, token_bytes, train, validation },
    texts: count,
    train_tokens: sum(train),
    validation_tokens: sum(validation),
  };
}
