// Content-addressed storage: bytes are stored and found under their SHA-256, so one name always means the same bytes.
import { concatBytes } from '@noble/hashes/utils.js';
import { HASH_FORM, sha256Hex } from '../protocol/hash.ts';
import { LedgerError } from './errors.ts';

/** A store of immutable byte strings. Every implementation passes testing/blob-store-compliance.ts. */
export interface BlobStore {
  /** Keeps bytes and returns their SHA-256. Durable when resolved. Throws LedgerError `blob-too-large`, `disk-full`, `store-unusable`. */
  put(bytes: Uint8Array): Promise<string>;
  /** Whether a blob of that name exists (without reading its bytes). */
  has(hash: string): Promise<boolean>;
  /** Starts a blob whose bytes arrive in pieces; memory use does not grow with its size. */
  draft(): BlobDraft;
  /** The bytes, verified against the name; null where there is no such blob. Throws LedgerError `blob-corrupt` instead of returning wrong bytes. */
  get(hash: string): Promise<Uint8Array | null>;
  /**
   * The bytes [from, to) in pieces; memory use does not grow with the size. null where there is no such blob. A damaged blob is never
   * delivered completely: LedgerError `blob-corrupt` is thrown at the call, or in place of the last piece of a whole blob.
   * Ending the iteration, also early, releases the file.
   */
  stream(hash: string, from?: number, to?: number): Promise<AsyncIterable<Uint8Array> | null>;
  /** The size in bytes; null where there is no such blob. */
  sizeOf(hash: string): Promise<number | null>;
  /** When its bytes were last put, in ms since 1970, counting a put of bytes that were there already; null where there is no such blob. */
  putAt(hash: string): Promise<number | null>;
  /** Removes a blob; false where there was none. */
  delete(hash: string): Promise<boolean>;
  /** Every name, in ascending order. Blobs put or deleted during the iteration may or may not appear. */
  list(): AsyncIterable<string>;
}

/** A blob that is being written. It becomes visible with `keep`; a process that dies leaves nothing of it. */
export interface BlobDraft {
  readonly size_bytes: number;
  /** The SHA-256 of what has been written so far. */
  readonly hash: string;
  /** Wait for each call before the next. Throws LedgerError `blob-too-large`, `disk-full`, `store-unusable`. */
  write(bytes: Uint8Array): Promise<void>;
  /** Stores the blob under its hash; durable when resolved. `known`: the store had it already. Throws as `write` does. */
  keep(): Promise<{ readonly known: boolean }>;
  /** Discards the draft. Allowed after `keep`, and more than once. */
  discard(): Promise<void>;
}

/** One gibibyte: half of what Node can read into one buffer, and far larger than a shard or a sparse update. */
export const DEFAULT_MAX_BLOB_BYTES = 2 ** 30;

/** Throws LedgerError `bad-hash` unless the text is 64 lower-case hexadecimal digits. This keeps any other text out of file paths. */
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
    // Copied on the way in and out, so that no caller can change what is stored.
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
