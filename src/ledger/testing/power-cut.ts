// What a folder has after a power cut: files that were synced, under names whose folder was synced afterwards, and nothing else. Any file
// system may have kept more; whoever promises to be durable must not count on it.
import { mkdir, mkdtemp, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Handle {
  sync(): Promise<void>;
  stat(options: { bigint: true }): Promise<{ ino: bigint; size: bigint; mtimeNs: bigint; isDirectory(): boolean }>;
}

/** The file's bytes, or the folder by its inode number. */
type Entry = Uint8Array | bigint;

const listeners = new Set<(handle: Handle) => Promise<void>>();

/** Every FileHandle of this process tells when it was synced. */
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

/** Watches a folder, which is there already. `cut` copies what would be left of it into another folder, and watches no longer. */
export async function watchedFolder(root: string): Promise<{ cut(): Promise<string> }> {
  hearing ??= hear();
  await hearing;
  const synced = new Map<bigint, string>();
  const folders = new Map<bigint, Map<string, Entry>>();
  const stateOf = ({ size, mtimeNs }: { size: bigint; mtimeNs: bigint }): string => `${size} ${mtimeNs}`;

  const look = async (path: string): Promise<Map<string, Entry>> => {
    const found = new Map<string, Entry>();
    for (const name of await readdir(path)) {
      const info = await stat(join(path, name), { bigint: true });
      const whole = synced.get(info.ino) === stateOf(info);
      found.set(name, info.isDirectory() ? info.ino : whole ? await readFile(join(path, name)) : new Uint8Array(0));
    }
    return found;
  };
  const pathOf = async (path: string, ino: bigint): Promise<string | null> => {
    const info = await stat(path, { bigint: true });
    if (!info.isDirectory()) return null;
    if (info.ino === ino) return path;
    for (const name of await readdir(path)) {
      const found = await pathOf(join(path, name), ino);
      if (found) return found;
    }
    return null;
  };
  const listener = async (handle: Handle): Promise<void> => {
    const info = await handle.stat({ bigint: true });
    if (!info.isDirectory()) return void synced.set(info.ino, stateOf(info));
    const path = await pathOf(root, info.ino);
    if (path) folders.set(info.ino, await look(path));
  };
  listeners.add(listener);

  const restore = async (path: string, ino: bigint): Promise<void> => {
    await mkdir(path, { recursive: true });
    for (const [name, entry] of folders.get(ino) ?? []) {
      if (typeof entry === 'bigint') await restore(join(path, name), entry);
      else await writeFile(join(path, name), entry);
    }
  };
  return {
    async cut() {
      listeners.delete(listener);
      const { ino } = await stat(root, { bigint: true });
      const left = await mkdtemp(`${root}-after-`);
      await restore(left, ino);
      return left;
    },
  };
}
