// Bulk by content: bytes are stored and found under their SHA-256, so a name can never mean two things.
import { sha256Hex } from '../protocol/hash.ts';
import { LedgerError } from './errors.ts';

/** A store of immutable byte strings. Every implementation passes blob-store.compliance.ts. */
export interface BlobStore {
  /** Keeps bytes and returns their SHA-256. Durable when resolved. Throws LedgerError `blob-too-large`, `disk-full`, `store-unusable`. */
  put(bytes: Uint8Array): Promise<string>;
  /** Whether a blob of that name is there (its bytes are not read). */
  has(hash: string): Promise<boolean>;
  /** The bytes, verified against the name; null where there are none. Throws LedgerError `blob-corrupt` and never returns wrong bytes. */
  get(hash: string): Promise<Uint8Array | null>;
  /** The size in bytes; null where there is no such blob. */
  sizeOf(hash: string): Promise<number | null>;
  /** When its bytes were last put (also when they were there already), in ms since 1970; null where there is no such blob. */
  putAt(hash: string): Promise<number | null>;
  /** Removes a blob; false where there was none. */
  delete(hash: string): Promise<boolean>;
  /** Every name, in ascending order. Blobs put or deleted meanwhile may or may not be seen. */
  list(): AsyncIterable<string>;
}

/** One gibibyte: half of what Node reads into one buffer, and far above a shard or a sparse update. */
export const DEFAULT_MAX_BLOB_BYTES = 2 ** 30;

const HASH_PATTERN = /^[0-9a-f]{64}$/;

/** Throws LedgerError `bad-hash` unless the text is 64 lower-case hexadecimal digits. No other text ever becomes part of a path. */
export function checkBlobHash(hash: string): void {
  if (typeof hash !== 'string' || !HASH_PATTERN.test(hash)) {
    throw new LedgerError(
      'bad-hash',
      `a blob's name is 64 lower-case hexadecimal digits, got ${JSON.stringify(hash)?.slice(0, 80)}`,
    );
  }
}

/** Throws LedgerError `blob-too-large` beyond the limit. */
export function checkBlobSize(size_bytes: number, limit_bytes: number): void {
  if (size_bytes > limit_bytes) {
    throw new LedgerError(
      'blob-too-large',
      `this store takes blobs of at most ${limit_bytes} bytes, got ${size_bytes}`,
      {
        size_bytes,
        limit_bytes,
      },
    );
  }
}

/** A store in memory, for tests, the simulator and short-lived peers. */
export function createMemoryBlobStore(
  options: { readonly max_blob_bytes?: number; readonly now_ms?: () => number } = {},
): BlobStore {
  const { max_blob_bytes: limit = DEFAULT_MAX_BLOB_BYTES, now_ms = Date.now } = options;
  const blobs = new Map<string, Uint8Array>();
  const put_ms = new Map<string, number>();
  const find = (hash: string) => {
    checkBlobHash(hash);
    return blobs.get(hash);
  };
  return {
    async put(bytes) {
      checkBlobSize(bytes.length, limit);
      const hash = sha256Hex(bytes);
      // Copied both ways, so that no caller can change what is stored.
      if (!blobs.has(hash)) blobs.set(hash, new Uint8Array(bytes));
      put_ms.set(hash, now_ms());
      return hash;
    },
    has: async (hash) => find(hash) !== undefined,
    get: async (hash) => find(hash)?.slice() ?? null,
    sizeOf: async (hash) => find(hash)?.length ?? null,
    putAt: async (hash) => (find(hash) ? put_ms.get(hash)! : null),
    async delete(hash) {
      checkBlobHash(hash);
      put_ms.delete(hash);
      return blobs.delete(hash);
    },
    async *list() {
      yield* [...blobs.keys()].sort();
    },
  };
}
