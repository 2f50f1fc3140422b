// Files that are either whole or absent: written aside, then renamed. Leftovers are removed by the writer itself or by the next one.
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { threadId } from 'node:worker_threads';
import { PRIVATE_FOLDER } from './private-files.ts';

/** Distinguishes files that this thread writes at the same time. */
let writers = 0;

/**
 * Writes a file whole; if that fails, nothing of it stays. Folders that are missing are made, for this user alone.
 * @param options.durable the file survives a power cut once the call resolves
 * @param options.mode of the file; what Node gives by itself where it is left out
 */
export async function writeWhole(
  path: string,
  data: string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<Uint8Array>,
  { durable = false, mode }: { readonly durable?: boolean; readonly mode?: number } = {},
): Promise<void> {
  const folder = dirname(path);
  const aside = join(folder, `.${basename(path)}.${threadId}-${++writers}.${process.pid}`);
  try {
    if (durable) await makeDurably(folder);
    else await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
    await writeFile(aside, data, { flush: durable, mode });
    await rename(aside, path);
    if (durable) await syncFolder(folder);
  } catch (error) {
    await rm(aside, { force: true }).catch(() => {}); // the first error says more
    throw error;
  }
}

/** Makes the names in a folder durable. Windows has no such call; its file systems journal names themselves. */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === 'win32') return;
  let folder: FileHandle | undefined;
  try {
    folder = await open(dir, constants.O_RDONLY);
    await folder.sync();
  } finally {
    await folder?.close();
  }
}

/** Makes a folder and its parents, with durable names. Files put into it need their own `syncFolder`. */
export async function makeDurably(folder: string, mode = PRIVATE_FOLDER): Promise<void> {
  const made = await mkdir(folder, { recursive: true, mode });
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

/** Whether there is a process of this number, of whichever user. */
export function isRunning(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
