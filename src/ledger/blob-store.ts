// Bulk by content: bytes are stored and found under their SHA-256, so a name can never mean two things.
import { concatBytes } from '@noble/hashes/utils.js';
import { HASH_FORM, sha256Hex } from '../protocol/hash.ts';
import { LedgerError } from './errors.ts';

/** A store of immutable byte strings. Every implementation passes testing/blob-store-compliance.ts. */
export interface BlobStore {
  /** Keeps bytes and returns their SHA-256. Durable when resolved. Throws LedgerError `blob-too-large`, `disk-full`, `store-unusable`. */
  put(bytes: Uint8Array): Promise<string>;
  /** Whether a blob of that name is there (its bytes are not read). */
  has(hash: string): Promise<boolean>;
  /** Begins a blob whose bytes come piece by piece: it takes memory that does not grow with them. */
  draft(): BlobDraft;
  /** The bytes, verified against the name; null where there are none. Throws LedgerError `blob-corrupt` and never returns wrong bytes. */
  get(hash: string): Promise<Uint8Array | null>;
  /**
   * The bytes [from, to) piece by piece, in memory that does not grow with them; null where there is no such blob. What is damaged is never
   * handed over to its end: LedgerError `blob-corrupt` is thrown at the call, or in place of the last piece of a whole blob.
   * What is read is given back when the iteration ends, also early.
   */
  stream(hash: string, from?: number, to?: number): Promise<AsyncIterable<Uint8Array> | null>;
  /** The size in bytes; null where there is no such blob. */
  sizeOf(hash: string): Promise<number | null>;
  /** When its bytes were last put (also when they were there already), in ms since 1970; null where there is no such blob. */
  putAt(hash: string): Promise<number | null>;
  /** Removes a blob; false where there was none. */
  delete(hash: string): Promise<boolean>;
  /** Every name, in ascending order. Blobs put or deleted meanwhile may or may not be seen. */
  list(): AsyncIterable<string>;
}

/** A blob that is being written. Nobody else sees it until it is kept; a process that dies leaves nothing of it. */
export interface BlobDraft {
  readonly size_bytes: number;
  /** The SHA-256 of what has been written so far. */
  readonly hash: string;
  /** One call after the other. Throws LedgerError `blob-too-large`, `disk-full`, `store-unusable`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Stores it under its hash; durable when resolved. `known`: the store had it. The same errors as `write`. */
  keep(): Promise<{ readonly known: boolean }>;
  /** Drops it. Also after `keep`, and twice. */
  discard(): Promise<void>;
}

/** One gibibyte: half of what Node reads into one buffer, and far above a shard or a sparse update. */
export const DEFAULT_MAX_BLOB_BYTES = 2 ** 30;

/** Throws LedgerError `bad-hash` unless the text is 64 lower-case hexadecimal digits. No other text ever becomes part of a path. */
export function checkBlobHash(hash: string): void {
  if (typeof hash !== 'string' || !HASH_FORM.test(hash)) {
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
  const put = async (bytes: Uint8Array): Promise<string> => {
    checkBlobSize(bytes.length, limit);
    const hash = sha256Hex(bytes);
    // Copied both ways, so that no caller can change what is stored.
    if (!blobs.has(hash)) blobs.set(hash, new Uint8Array(bytes));
    put_ms.set(hash, now_ms());
    return hash;
  };
  const get = async (hash: string) => find(hash)?.slice() ?? null;
  const has = async (hash: string) => find(hash) !== undefined;
  return {
    ...{ put, has, get },
    ...inMemory({ put, has, get }, limit),
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

/** `draft` and `stream` of a store that holds whole blobs in memory. */
export function inMemory(
  { put, has, get }: Pick<BlobStore, 'put' | 'has' | 'get'>,
  limit_bytes = DEFAULT_MAX_BLOB_BYTES,
): Pick<BlobStore, 'draft' | 'stream'> {
  return {
    draft() {
      let pieces: Uint8Array[] = [];
      let size_bytes = 0;
      return {
        get size_bytes() {
          return size_bytes;
        },
        get hash() {
          return sha256Hex(...pieces);
        },
        async write(bytes) {
          checkBlobSize(size_bytes + bytes.length, limit_bytes);
          size_bytes += bytes.length;
          pieces.push(new Uint8Array(bytes));
        },
        async keep() {
          const known = await has(sha256Hex(...pieces));
          await put(concatBytes(...pieces));
          return { known };
        },
        async discard() {
          pieces = [];
        },
      };
    },
    async stream(hash, from, to) {
      const bytes = await get(hash);
      return (
        bytes &&
        (async function* () {
          yield bytes.subarray(from, to);
        })()
      );
    },
  };
}
