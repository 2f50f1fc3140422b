// A drawer in files that are whole or absent; each begins with the SHA-256 of the rest.
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../protocol/hash.ts';
import { removeLeftovers, syncFolder, writeWhole } from '../protocol/whole-file.ts';
import { type Drawer, drawerOver } from './drawer.ts';

const HASH_BYTES = 32;

/** A drawer in a folder. `onLost` is called with the reason of a failed write, once until a write succeeds again. */
export function openDrawer(folder: string, onLost: (why: string) => void = () => {}): Drawer {
  let swept: Promise<void> | undefined;
  return drawerOver(
    {
      async read(name) {
        const file = await readFile(join(folder, name)).catch(() => null);
        if (!file || file.length < HASH_BYTES) return null;
        const bytes = new Uint8Array(file.subarray(HASH_BYTES));
        // A flipped bit on the disk would get into the model, so a damaged file counts as missing.
        return Buffer.compare(sha256(bytes), file.subarray(0, HASH_BYTES)) === 0 ? bytes : null;
      },
      async write(name, bytes) {
        swept ??= removeLeftovers(folder);
        await swept;
        await writeWhole(join(folder, name), [sha256(bytes), bytes], { durable: true });
      },
      async remove(name) {
        await rm(join(folder, name), { force: true });
        await syncFolder(folder).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error; // nothing was ever put
        });
      },
    },
    ({ message }) => onLost(`${folder} cannot be written (${message}): what belongs there is lost when this ends`),
  );
}
