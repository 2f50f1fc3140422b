// What a device keeps for itself between rounds, as files that are whole or not there: each begins with the SHA-256 of the rest.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device } from '../games/game.ts';
import { sha256 } from '../protocol/hash.ts';

const HASH_BYTES = 32;

/** A drawer in a folder. Names are the game's own, plain words. */
export function openDrawer(folder: string): Device['drawer'] {
  return {
    async get(name) {
      const file = await readFile(join(folder, name)).catch(() => null);
      if (!file || file.length < HASH_BYTES) return null;
      const bytes = new Uint8Array(file.subarray(HASH_BYTES));
      // A bit that flipped on the disk would go on in the model: what is damaged is as good as not there.
      return Buffer.compare(sha256(bytes), file.subarray(0, HASH_BYTES)) === 0 ? bytes : null;
    },
    async put(name, bytes) {
      await mkdir(folder, { recursive: true });
      const temporary = join(folder, `.${name}.${process.pid}`);
      await writeFile(temporary, [sha256(bytes), bytes]);
      await rename(temporary, join(folder, name));
    },
    delete: (name) => rm(join(folder, name), { force: true }),
  };
}
