// What a folder holds after a power cut: synced files whose folder was synced after they got their name, and nothing else. A real file
// system may keep more, but code that promises durability must not rely on it.
import { mkdir, mkdtemp, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Info {
  readonly ino: bigint;
  isDirectory(): boolean;
}

interface Handle {
  sync(): Promise<void>;
  stat(options: { bigint: true }): Promise<Info>;
}

/** Others rename and delete files between the list of a folder and the look at one of them. */
function nullIfGone(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

const listeners = new Set<(handle: Handle) => Promise<void>>();

/** Records when any FileHandle of this process is synced. */
async function hear(): Promise<void> {
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle) as Handle;
  await handle.close();
  const { sync } = prototype;
  prototype.sync = async function (this: Handle) {
    await sync.call(this);
    for (const listener of listeners) await listener(this);
  };
}
let hearing: Promise<void> | undefined;

/** Watches an existing folder. `cut` copies what would survive into another folder, and stops watching. */
export async function watchedFolder(root: string): Promise<{ cut(): Promise<string> }> {
  hearing ??= hear();
  await hearing;
  /** What is durable, by inode: the bytes of files, and the names in folders. */
  const files = new Map<bigint, Uint8Array>();
  const folders = new Map<bigint, Map<string, Info>>();

  const infosIn = async (folder: string): Promise<Map<string, Info>> => {
    const infos = new Map<string, Info>();
    for (const name of await readdir(folder)) {
      const info = await stat(join(folder, name), { bigint: true }).catch(nullIfGone);
      if (info !== null) infos.set(name, info);
    }
    return infos;
  };
  const pathOf = async (path: string, info: Info, wanted: bigint): Promise<string | null> => {
    if (info.ino === wanted) return path;
    if (!info.isDirectory()) return null;
    for (const [name, inside] of await infosIn(path)) {
      const found = await pathOf(join(path, name), inside, wanted);
      if (found) return found;
    }
    return null;
  };
  const top = await stat(root, { bigint: true });
  const listener = async (handle: Handle): Promise<void> => {
    const info = await handle.stat({ bigint: true });
    const path = await pathOf(root, top, info.ino);
    if (path === null) return;
    if (info.isDirectory()) folders.set(info.ino, await infosIn(path));
    else files.set(info.ino, await readFile(path));
  };
  listeners.add(listener);

  const restore = async (path: string, ino: bigint): Promise<void> => {
    await mkdir(path, { recursive: true });
    for (const [name, info] of folders.get(ino) ?? []) {
      if (info.isDirectory()) await restore(join(path, name), info.ino);
      else await writeFile(join(path, name), files.get(info.ino) ?? new Uint8Array(0));
    }
  };
  return {
    async cut() {
      listeners.delete(listener);
      const left = await mkdtemp(`${root}-after-`);
      await restore(left, top.ino);
      return left;
    },
  };
}
