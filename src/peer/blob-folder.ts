// A cache of blobs in a folder, each in a file named by its hash.
import { readdir, readFile, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { removeLeftovers, writeWhole } from '../protocol/whole-file.ts';
import type { BlobCache } from './blobs.ts';

/** How much disk a device lends, unless its owner says otherwise. */
const CACHE_BYTES = 2 ** 32;

/** The cache in `folder`/blobs; when it is full, the least recently used blob goes first. */
export function openBlobFolder(folder: string, limit_bytes: number = CACHE_BYTES, now_ms = Date.now): BlobCache {
  const cache = join(folder, 'blobs');
  let swept: Promise<void> | undefined;
  const use = (file: string): Promise<void> => utimes(file, new Date(now_ms()), new Date(now_ms()));
  return {
    async get(hash) {
      const file = join(cache, hash);
      const bytes = await readFile(file).catch(() => null);
      if (!bytes) return null;
      await use(file);
      return new Uint8Array(bytes);
    },
    async put(hash, bytes) {
      if (bytes.length > limit_bytes) return;
      swept ??= removeLeftovers(cache);
      await swept;
      await writeWhole(join(cache, hash), bytes);
      await use(join(cache, hash));
      await trim(cache, limit_bytes);
    },
  };
}

/** Deletes the least recently used blobs when the folder exceeds its limit. */
async function trim(cache: string, limit_bytes: number): Promise<void> {
  const names = (await readdir(cache)).filter((name) => !name.startsWith('.'));
  const files = await Promise.all(names.map(async (name) => ({ name, ...(await statOf(join(cache, name))) })));
  let total_bytes = files.reduce((sum, file) => sum + file.size, 0);
  files.sort((a, b) => a.mtimeMs - b.mtimeMs);
  for (const file of files) {
    if (total_bytes <= limit_bytes) return;
    total_bytes -= file.size;
    await rm(join(cache, file.name), { force: true });
  }
}

async function statOf(file: string): Promise<{ size: number; mtimeMs: number }> {
  return stat(file).catch(() => ({ size: 0, mtimeMs: 0 }));
}
