// What a device keeps for itself between rounds, as files that are whole or not there: each begins with the SHA-256 of the rest.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device } from '../games/game.ts';
import { sha256 } from '../protocol/hash.ts';
import { isSystemError } from './errors.ts';
import { removeLeftovers, writeWhole } from './whole-file.ts';

const HASH_BYTES = 32;

/**
 * A drawer in a folder. Names are the game's own, plain words. What cannot be written is kept in memory, so that a full disk costs no
 * round; `onLost` hears why, until something can be written again.
 */
export function openDrawer(folder: string, onLost: (why: string) => void = () => {}): Device['drawer'] {
  const unwritten = new Map<string, Uint8Array>();
  let swept: Promise<void> | undefined;
  let told = false;
  return {
    async get(name) {
      const held = unwritten.get(name);
      if (held) return held;
      const file = await readFile(join(folder, name)).catch(() => null);
      if (!file || file.length < HASH_BYTES) return null;
      const bytes = new Uint8Array(file.subarray(HASH_BYTES));
      // A bit that flipped on the disk would go on in the model: what is damaged is as good as not there.
      return Buffer.compare(sha256(bytes), file.subarray(0, HASH_BYTES)) === 0 ? bytes : null;
    },
    async put(name, bytes) {
      swept ??= removeLeftovers(folder);
      await swept;
      try {
        await writeWhole(join(folder, name), [sha256(bytes), bytes]);
        unwritten.delete(name);
        told = false;
      } catch (error) {
        if (!isSystemError(error)) throw error;
        unwritten.set(name, bytes);
        await rm(join(folder, name), { force: true }).catch(() => {}); // what it would have replaced
        if (!told) onLost(`${folder} cannot be written (${error.message}): what belongs there is lost when this ends`);
        told = true;
      }
    },
    async delete(name) {
      unwritten.delete(name);
      await rm(join(folder, name), { force: true });
    },
  };
}
