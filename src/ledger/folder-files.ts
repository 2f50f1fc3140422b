// Public files in a folder that any web server serves as it is. Each is written aside, synced, then named: no reader and no power cut sees half of one.
import { randomBytes } from 'node:crypto';
import { chmod, copyFile, link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isRunning, makeDurably, syncFolder } from '../protocol/whole-file.ts';
import { LedgerError } from './errors.ts';
import { equalHashes } from './merkle.ts';
import { fileDiffers, type PublicFiles } from './public-files.ts';

/** Readable by everybody: the web server is another user than the hub. */
const PUBLIC_FILE = 0o644;
const PUBLIC_FOLDER = 0o755;
/** Where files are written before they get their name. Web servers do not serve names that begin with a dot, or are told not to. */
const ASIDE = '.aside';
/** Each part of a name; none leads out of the folder or begins with a dot. */
const NAME_FORM = /^[A-Za-z0-9_][\w.-]*(\/[A-Za-z0-9_][\w.-]*)*$/;

export interface FolderFiles extends PublicFiles {
  /** The same as `create` for the bytes of a file on this disk, without a second copy of them where the file system can. Throws as `create` does. */
  adopt(name: string, path: string): Promise<void>;
  /** The names of files in a folder of them; empty where there is no such folder. Throws LedgerError `read-failed`. */
  list(folder: string): Promise<string[]>;
  remove(name: string): Promise<void>;
}

/** Opens (or makes) a folder, and removes what killed writers have left aside. Several processes may write there. Throws LedgerError `write-failed`. */
export async function openFolderFiles(folder: string): Promise<FolderFiles> {
  const aside = join(folder, ASIDE);
  const known = new Set<string>();

  /** Makes the folder of a file, with durable names. */
  const makeFolder = async (dir: string): Promise<void> => {
    if (known.has(dir)) return;
    await makeDurably(dir, PUBLIC_FOLDER);
    known.add(dir);
  };

  /** Gives a file that is written and synced its name, unless that is taken: then it is dropped. */
  const nameOnce = async (from: string, path: string): Promise<'named' | 'taken'> => {
    try {
      await link(from, path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EEXIST') return 'taken';
      if (code === 'ENOENT') throw error;
      await rename(from, path); // a file system without links; of two writers at once, both write the same
    } finally {
      await rm(from, { force: true });
    }
    return 'named';
  };

  const newAside = (): string => join(aside, `${process.pid}-${randomBytes(8).toString('hex')}`);

  const writeAside = async (bytes: Uint8Array): Promise<string> => {
    const path = newAside();
    const file = await open(path, 'wx', PUBLIC_FILE);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } catch (error) {
      await rm(path, { force: true }).catch(() => {}); // the first error says more
      throw error;
    } finally {
      await file.close();
    }
    return path;
  };

  const pathOf = (name: string): string => {
    if (NAME_FORM.test(name)) return join(folder, name);
    throw new LedgerError('malformed', `expected the name of a public file, got ${JSON.stringify(name).slice(0, 120)}`);
  };

  const get = async (name: string): Promise<Uint8Array | null> => {
    const bytes = await doing('read-failed', name, () => readFile(pathOf(name)).catch(nullIfMissing));
    return bytes && new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

  /** Whether a name is taken. Also then its folder is synced: whoever wrote the file may have died before its name was durable. */
  const isThere = async (name: string, bytes: Uint8Array): Promise<boolean> => {
    const there = await get(name);
    if (!there) return false;
    if (!equalHashes(there, bytes)) throw fileDiffers(name, bytes, there);
    await doing('write-failed', name, () => syncFolder(dirname(pathOf(name))));
    return true;
  };

  await doing('write-failed', folder, async () => {
    await makeFolder(folder);
    await mkdir(aside, { recursive: true, mode: 0o700 });
    for (const name of await readdir(aside)) {
      if (!isRunning(Number(name.split('-')[0]))) await rm(join(aside, name), { force: true });
    }
  });

  return {
    get,
    async create(name, bytes) {
      if (await isThere(name, bytes)) return;
      const path = pathOf(name);
      const named = await doing('write-failed', name, async () => {
        await makeFolder(dirname(path));
        return nameOnce(await writeAside(bytes), path);
      });
      if (named === 'taken') await isThere(name, bytes);
      await doing('write-failed', name, () => syncFolder(dirname(path)));
    },
    async replace(name, bytes) {
      const path = pathOf(name);
      await doing('write-failed', name, async () => {
        await makeFolder(dirname(path));
        await rename(await writeAside(bytes), path);
        await syncFolder(dirname(path));
      });
    },
    async adopt(name, from) {
      const path = pathOf(name);
      await doing('write-failed', name, async () => {
        await makeFolder(dirname(path));
        try {
          await link(from, path);
          await chmod(path, PUBLIC_FILE);
        } catch (error) {
          const { code } = error as NodeJS.ErrnoException;
          if (code === 'EEXIST') return;
          if (code === 'ENOENT') throw error;
          const copy = newAside();
          await copyFile(from, copy);
          await chmod(copy, PUBLIC_FILE);
          await synced(copy);
          await nameOnce(copy, path);
        }
        await syncFolder(dirname(path));
      });
    },
    list: (name) => doing('read-failed', name, async () => (await readdir(pathOf(name)).catch(nullIfMissing)) ?? []),
    remove: (name) => doing('write-failed', name, () => rm(pathOf(name), { force: true })),
  };
}

async function synced(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (['ENOENT', 'ENOTDIR', 'EISDIR'].includes(error.code ?? '')) return null;
  throw error;
}

async function doing<T>(code: 'read-failed' | 'write-failed', what: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    const { message, code: errno = null } = error as NodeJS.ErrnoException;
    throw new LedgerError(code, `${what}: ${message}`, { name: what, errno });
  }
}
