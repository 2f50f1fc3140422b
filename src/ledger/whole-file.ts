// Files that are either whole or absent: written aside, then renamed. Leftovers are removed by the writer itself or by the next one.
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { PRIVATE_FOLDER } from '../protocol/private-files.ts';
import { syncFolder } from './folder-blob-store.ts';

/** Distinguishes files that this process writes at the same time. */
let writers = 0;

/** Writes a file whole; if that fails, nothing of it stays. `durable`: it survives a power cut once the call resolves. */
export async function writeWhole(
  path: string,
  data: Uint8Array | readonly Uint8Array[],
  durable?: 'durable',
): Promise<void> {
  const folder = dirname(path);
  const aside = join(folder, `.${basename(path)}.${++writers}.${process.pid}`);
  try {
    if (durable) await makeDurably(folder);
    else await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
    await writeFile(aside, data, { flush: durable !== undefined });
    await rename(aside, path);
    if (durable) await syncFolder(folder);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {}); // the first error says more
    throw error;
  }
}

/** Makes a folder and its parents, with durable names. Files put into it need their own `syncFolder`. */
export async function makeDurably(folder: string): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  if (made === undefined) return;
  const top = dirname(resolve(made));
  for (let at = dirname(resolve(folder)); at.length >= top.length; at = dirname(at)) {
    await syncFolder(at);
    if (at === top) return;
  }
}

/** Removes files that killed writers have left aside in a folder. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const pid = Number(/^\..+\.(\d+)$/.exec(name)?.[1] ?? 0);
    if (pid > 0 && !isRunning(pid)) await rm(join(folder, name), { force: true }).catch(() => {}); // the next start tries again
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
