// The stored form of a dataset: content-addressed shards of tokens, and a manifest that lists them and a validation split that nobody trains on.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { utf8 } from '../protocol/hash.ts';
import { hash } from '../protocol/schemas.ts';
import { DataError } from './corpus-errors.ts';

export const LIMIT_SHARD_TOKENS = 16 * 2 ** 20;
/** Keeps a manifest, which every peer reads, below LIMIT_MANIFEST_BYTES. */
export const LIMIT_SHARDS = 262_144;
const LIMIT_MANIFEST_BYTES = 32 * 2 ** 20;
const LIMIT_VOCAB = 262_144;

/** "PLTS", the version, the bytes of a token, two zero bytes, the count (uint32, little-endian), four zero bytes. */
const MAGIC = [0x50, 0x4c, 0x54, 0x53];
export const VERSION = 1;
export const HEADER_BYTES = 16;

const ShardSchema = z.strictObject({ hash, tokens: z.int().min(2).max(LIMIT_SHARD_TOKENS) });
/** `soft`: what a teacher says of its tokens (soft-shards.ts); of all shards to learn from, or of none. */
const TrainShardSchema = ShardSchema.extend({ soft: hash.optional() });

const DatasetManifestSchema = z
  .strictObject({
    version: z.literal(VERSION),
    /** The hash of the tokenizer.json blob. */
    tokenizer: hash,
    vocab_size: z.int().min(2).max(LIMIT_VOCAB),
    token_bytes: z.literal([1, 2, 4]),
    train: z.array(TrainShardSchema).min(1).max(LIMIT_SHARDS),
    validation: z.array(ShardSchema).min(1).max(LIMIT_SHARDS),
  })
  .refine((m) => m.token_bytes === tokenBytes(m.vocab_size), { error: 'token_bytes does not follow from vocab_size' })
  .refine(({ train }) => train.every(({ soft }) => (soft === undefined) === (train[0].soft === undefined)), {
    error: 'some shards have soft targets and others have none',
  })
  .refine(
    ({ train, validation }) => {
      const held_out = new Set(validation.map(({ hash }) => hash));
      return !train.some(({ hash }) => held_out.has(hash));
    },
    { error: 'a shard is in both splits' },
  );

export type DatasetManifest = z.infer<typeof DatasetManifestSchema>;
export type ShardEntry = z.infer<typeof TrainShardSchema>;
/** The tokens of one shard, in the narrowest type that holds the vocabulary. */
export type ShardTokens = Uint8Array | Uint16Array | Uint32Array;

/** The bytes of a token: as few as the vocabulary needs. */
export function tokenBytes(vocab_size: number): 1 | 2 | 4 {
  if (vocab_size <= 2 ** 8) return 1;
  return vocab_size <= 2 ** 16 ? 2 : 4;
}

/** Encodes a shard from tokens that are already little-endian, with `token_bytes` each. */
export function encodeShard(tokens: Uint8Array, token_bytes: 1 | 2 | 4): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + tokens.length);
  bytes.set([...MAGIC, VERSION, token_bytes]);
  new DataView(bytes.buffer).setUint32(8, tokens.length / token_bytes, true);
  bytes.set(tokens, HEADER_BYTES);
  return bytes;
}

const corrupt = (fact: string, details = {}) => new DataError('corrupt-data', fact, details);

/**
 * The tokens of a shard. Throws DataError `corrupt-data` when the header, the length or a token does not fit the manifest.
 * The caller checks the hash of the bytes against the manifest.
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

/** The canonical encoding of a manifest: JSON with the keys in the order of the schema. Throws DataError `corrupt-data`. */
export function encodeManifest(manifest: DatasetManifest): Uint8Array {
  const parsed = DatasetManifestSchema.safeParse(manifest);
  if (!parsed.success) throw corrupt(`manifest: ${firstIssue(parsed.error)}`);
  const bytes = utf8(JSON.stringify(parsed.data));
  if (bytes.length > LIMIT_MANIFEST_BYTES) {
    throw new DataError('too-large', `manifest: ${bytes.length} bytes, at most ${LIMIT_MANIFEST_BYTES}`);
  }
  return bytes;
}

/** Decodes a manifest; any encoding but the canonical one is refused. Throws DataError `corrupt-data` or `too-large`. */
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
