// Blobs in an S3 bucket under `blobs/` and their hash. The store itself holds every upload against the hash that its request names.
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HASH_FORM, sha256Hex } from '../../protocol/hash.ts';
import { PRIVATE_FOLDER } from '../../protocol/private-files.ts';
import { type BlobStore, checkBlobHash, checkBlobSize, DEFAULT_MAX_BLOB_BYTES } from '../blob-store.ts';
import { codeOfSystemError, LedgerError } from '../errors.ts';
import { StagedFile } from '../staged-file.ts';
import type { S3 } from './client.ts';
import { mayPass, S3Error } from './errors.ts';

export const BLOBS = 'blobs/';
/** Above this, a blob goes up in parts: a request that breaks off starts over, and its bytes are in memory meanwhile. */
export const PARTS_ABOVE_BYTES = 64 << 20;
/** S3 takes parts of at least 5 MiB, and 10,000 of them. */
const PART_BYTES = 16 << 20;

/**
 * The blobs of a bucket. Their names are content, so several processes may write the same bucket.
 * @param options.staging a folder of this process for blobs that are being written; it is emptied
 * @param options.parts_above_bytes by default PARTS_ABOVE_BYTES
 *
 * Throws LedgerError `store-unusable`.
 */
export async function openS3BlobStore(
  s3: S3,
  options: { readonly staging: string; readonly max_blob_bytes?: number; readonly parts_above_bytes?: number },
): Promise<BlobStore> {
  const { staging, max_blob_bytes: limit = DEFAULT_MAX_BLOB_BYTES, parts_above_bytes = PARTS_ABOVE_BYTES } = options;
  await usable(async () => {
    await rm(staging, { recursive: true, force: true });
    await mkdir(staging, { recursive: true, mode: PRIVATE_FOLDER });
  });
  const keyOf = (hash: string): string => {
    checkBlobHash(hash);
    return BLOBS + hash;
  };
  const put = async (bytes: Uint8Array): Promise<string> => {
    checkBlobSize(bytes.length, limit);
    const hash = sha256Hex(bytes);
    // A caller may change its bytes while a request that failed is made again.
    await usable(() => s3.put(BLOBS + hash, new Uint8Array(bytes), { hash, headers: IMMUTABLE }));
    return hash;
  };
  /** Puts what was staged, in parts where it is large: the store checks the hash of each part, this the hash of all. */
  const settle = async (hash: string, staged: Draft): Promise<{ known: boolean }> => {
    const known = (await s3.head(BLOBS + hash)) !== null;
    if (staged.file.size_bytes <= parts_above_bytes)
      await s3.put(BLOBS + hash, await staged.all(), { hash, headers: IMMUTABLE });
    else await s3.putParts(BLOBS + hash, staged.parts());
    return { known };
  };

  return {
    put,
    draft() {
      const path = join(staging, randomBytes(12).toString('hex'));
      const staged = stage(path);
      return {
        get size_bytes() {
          return staged.file.size_bytes;
        },
        get hash() {
          return staged.file.hash;
        },
        async write(bytes) {
          checkBlobSize(staged.file.size_bytes + bytes.length, limit);
          await usable(() => staged.write(bytes));
        },
        keep: () => usable(() => settle(staged.file.hash, staged)).finally(() => staged.drop()),
        discard: () => usable(() => staged.drop()),
      };
    },
    has: async (hash) => (await usable(() => s3.head(keyOf(hash)))) !== null,
    async get(hash) {
      const bytes = await usable(() => s3.get(keyOf(hash)));
      if (bytes === null) return null;
      const found = sha256Hex(bytes);
      if (found !== hash) throw corrupt(hash, found);
      return bytes;
    },
    async stream(hash, from = 0, to = Number.POSITIVE_INFINITY) {
      const key = keyOf(hash);
      const size_bytes = (await usable(() => s3.head(key)))?.size_bytes;
      if (size_bytes === undefined) return null;
      const whole = from === 0 && to >= size_bytes;
      const pieces = await usable(() => (whole ? s3.stream(key) : s3.stream(key, from, to)));
      return pieces && asLedger(whole ? checked(pieces, hash) : pieces);
    },
    sizeOf: async (hash) => (await usable(() => s3.head(keyOf(hash))))?.size_bytes ?? null,
    putAt: async (hash) => (await usable(() => s3.head(keyOf(hash))))?.modified_ms ?? null,
    async delete(hash) {
      const key = keyOf(hash);
      return usable(async () => {
        if ((await s3.head(key)) === null) return false;
        await s3.delete(key);
        return true;
      });
    },
    async *list() {
      for await (const { key } of asLedger(s3.list(BLOBS))) {
        const name = key.slice(BLOBS.length);
        if (HASH_FORM.test(name)) yield name;
      }
    },
  };
}

/** What a name of content means may be kept for ever. */
export const IMMUTABLE = { 'cache-control': 'public, max-age=31536000, immutable' };

/** A blob on its way to the bucket: in memory while it is small, else in a file. */
interface Draft {
  readonly file: StagedFile;
  write(bytes: Uint8Array): Promise<void>;
  all(): Promise<Uint8Array>;
  parts(): AsyncGenerator<Uint8Array>;
  drop(): Promise<void>;
}

function stage(path: string): Draft {
  const file = new StagedFile(`${path}.part`);
  let named = false;
  async function* pieces(size_bytes: number): AsyncGenerator<Uint8Array> {
    if (!named) await file.nameIt(path);
    named = true;
    const handle = await open(path);
    try {
      for (let at = 0; at < file.size_bytes; at += size_bytes) {
        const bytes = new Uint8Array(Math.min(size_bytes, file.size_bytes - at));
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, at);
        if (bytesRead < bytes.length)
          throw new LedgerError('store-unusable', `a file of ${file.size_bytes} bytes has become shorter`);
        yield bytes;
      }
    } finally {
      await handle.close();
    }
  }
  return {
    file,
    write: (bytes) => file.write(bytes),
    async all() {
      for await (const bytes of pieces(PARTS_ABOVE_BYTES)) return bytes;
      return new Uint8Array(0);
    },
    parts: () => pieces(PART_BYTES),
    async drop() {
      await file.discard();
      if (named) await rm(path, { force: true });
    },
  };
}

/** A whole blob, hashed while it comes. The last piece is held back until the hash is known to fit. Throws `blob-corrupt`. */
async function* checked(pieces: AsyncIterable<Uint8Array>, hash: string): AsyncGenerator<Uint8Array, void> {
  const hasher = createHash('sha256');
  let last: Uint8Array | null = null;
  for await (const piece of pieces) {
    hasher.update(piece);
    if (last) yield last;
    last = piece;
  }
  const found = hasher.digest('hex');
  if (found !== hash) throw corrupt(hash, found);
  if (last) yield last;
}

const corrupt = (hash: string, found: string): LedgerError =>
  new LedgerError('blob-corrupt', `the bytes of blob ${hash} have the hash ${found}`, { hash, found });

/** Errors of the store, and of the staging folder, as a ledger's. */
export function ledgerErrorOf(error: unknown): Error {
  if (error instanceof LedgerError) return error;
  const code = mayPass(error) ? 'store-busy' : error instanceof S3Error ? 'store-unusable' : codeOfSystemError(error);
  return new LedgerError(code, (error as Error).message);
}

async function usable<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw ledgerErrorOf(error);
  }
}

async function* asLedger<T>(items: AsyncIterable<T>): AsyncGenerator<T, void> {
  try {
    yield* items;
  } catch (error) {
    throw ledgerErrorOf(error);
  }
}
