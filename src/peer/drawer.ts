// What a device keeps for itself between rounds, as files that are whole or not there.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Device } from '../games/game.ts';

/** A drawer in a folder. Names are the game's own, plain words. */
export function openDrawer(folder: string): Device['drawer'] {
  return {
    get: (name) =>
      readFile(join(folder, name)).then(
        (bytes) => new Uint8Array(bytes),
        () => null,
      ),
    async put(name, bytes) {
      await mkdir(folder, { recursive: true });
      const temporary = join(folder, `.${name}.${process.pid}`);
      await writeFile(temporary, bytes);
      await rename(temporary, join(folder, name));
    },
    delete: (name) => rm(join(folder, name), { force: true }),
  };
}
