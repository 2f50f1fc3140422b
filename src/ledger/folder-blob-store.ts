// Blobs in a folder: DIR/ab/cd/abcd…, each written aside, synced, then renamed into place, so a crash leaves a whole blob or none. Where it is
// asked for, small ones are in one file (small-blobs.ts).
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { getEnvironmentData, setEnvironmentData, threadId } from 'node:worker_threads';
import { HASH_FORM, sha256Hex } from '../protocol/hash.ts';
import { PRIVATE_FOLDER } from '../protocol/private-files.ts';
import { isRunning, syncFolder } from '../protocol/whole-file.ts';
import { type BlobStore, checkBlobHash, checkBlobSize, DEFAULT_MAX_BLOB_BYTES } from './blob-store.ts';
import { codeOfSystemError, LedgerError } from './errors.ts';
import { openSmallBlobs, SMALL_BLOB_BYTES, SMALL_BLOBS_FILE } from './small-blobs.ts';
import { StagedFile } from './staged-file.ts';
import { piecesOf, verifiedFiles } from './verified-files.ts';

/** The staging folder, where blobs are written before they get their name. */
const STAGING = 'staging';
const TOKEN = 'blob-folder-writer';
/** Marks this process's files in the staging folder; a process id alone may be reused. Threads started later inherit the mark. */
const THIS_PROCESS = (getEnvironmentData(TOKEN) as string | undefined) ?? randomBytes(6).toString('hex');
setEnvironmentData(TOKEN, THIS_PROCESS);
/** Of this thread, so that files which are written at the same time have different names. */
let staged_so_far = 0;
const FAN_OUT = /^[0-9a-f]{2}$/;

export interface FolderOptions {
  readonly max_blob_bytes?: number;
  /** Whether small blobs are put into one file, which is cheaper where many come at once. They are found there in any case. */
  readonly gathers_small?: boolean;
}

export interface FolderBlobStore extends BlobStore {
  /** Closes what it has open; puts that are under way must have ended. */
  close(): void;
}

/**
 * Opens (or makes) a blob folder and removes what crashed writers left in it.
 * Several processes may use one folder at once. Throws LedgerError `store-unusable`.
 */
export async function openFolderBlobStore(dir: string, options: FolderOptions = {}): Promise<FolderBlobStore> {
  const { gathers_small = false } = options;
  const limit = options.max_blob_bytes ?? DEFAULT_MAX_BLOB_BYTES;
  const staging = join(dir, STAGING);
  await usable(dir, async () => {
    await mkdir(staging, { recursive: true, mode: PRIVATE_FOLDER });
    await removeLeftovers(staging);
  });

  /** Folders whose own name in their parent folder this process has made durable. */
  const durableFolders = new Set<string>();
  /** Two puts of the same bytes at once share one write. */
  const underWay = new Map<string, Promise<unknown>>();
  const verified = verifiedFiles();
  const small = openSmallBlobs(join(dir, SMALL_BLOBS_FILE), { make: gathers_small });

  const folderOf = (hash: string) => join(dir, hash.slice(0, 2), hash.slice(2, 4));
  const pathOf = (hash: string) => {
    checkBlobHash(hash);
    return join(folderOf(hash), hash);
  };

  async function makeFolder(hash: string): Promise<string> {
    const folder = folderOf(hash);
    if (!durableFolders.has(folder)) {
      await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
      await syncFolder(join(dir, hash.slice(0, 2)));
      await syncFolder(dir);
      durableFolders.add(folder);
    }
    return folder;
  }

  /** Stores a file under its name, durable when resolved; returns whether it was there already. A damaged file of that name is replaced. */
  async function settle(hash: string, staged: StagedFile): Promise<{ known: boolean }> {
    const folder = await makeFolder(hash);
    const path = pathOf(hash);
    const known = (await verified.holds(hash, path)) === true;
    if (known) {
      await staged.discard();
      const now = new Date();
      await utimes(path, now, now);
    } else {
      await staged.nameIt(path);
    }
    await verified.written(hash, path);
    // Also for a file that was there already: its writer may have died before the name was durable.
    await syncFolder(folder);
    return { known };
  }

  /** Of what is small, whatever is there already is replaced: it may be damaged. A file of a folder of before may stay beside it. */
  const isSmall = (size_bytes: number): boolean => gathers_small && size_bytes <= SMALL_BLOB_BYTES;

  const stage = (): StagedFile =>
    new StagedFile(join(staging, `${process.pid}-${THIS_PROCESS}-${threadId}-${staged_so_far++}`));

  /** Runs a step that writes; if it fails, nothing of it stays. */
  const orNothing = async <T>(staged: StagedFile, step: () => Promise<T>): Promise<T> =>
    usable(dir, step).catch(async (error) => {
      await staged.discard().catch(() => {}); // the first error says more
      throw error;
    });

  const write = async (hash: string, bytes: Uint8Array): Promise<void> => {
    if (isSmall(bytes.length)) return void (await small.put(hash, bytes));
    const staged = stage();
    await orNothing(staged, async () => {
      await staged.write(bytes);
      await settle(hash, staged);
    });
  };

  const sizeOf = async (hash: string): Promise<number | null> => {
    checkBlobHash(hash);
    return small.sizeOf(hash) ?? sizeOfFile(pathOf(hash));
  };

  return {
    async put(bytes) {
      checkBlobSize(bytes.length, limit);
      const hash = sha256Hex(bytes);
      let writing = underWay.get(hash);
      if (!writing) {
        writing = write(hash, bytes).finally(() => underWay.delete(hash));
        underWay.set(hash, writing);
      }
      await writing;
      return hash;
    },
    draft() {
      const staged = stage();
      return {
        get size_bytes() {
          return staged.size_bytes;
        },
        get hash() {
          return staged.hash;
        },
        async write(bytes) {
          checkBlobSize(staged.size_bytes + bytes.length, limit);
          await orNothing(staged, () => staged.write(bytes));
        },
        async keep() {
          const bytes = isSmall(staged.size_bytes) ? staged.inMemory : null;
          return orNothing(staged, () => (bytes ? small.put(staged.hash, bytes) : settle(staged.hash, staged)));
        },
        discard: () => usable(dir, () => staged.discard()),
      };
    },
    async has(hash) {
      return (await sizeOf(hash)) !== null;
    },
    async get(hash) {
      checkBlobHash(hash);
      const bytes = small.get(hash) ?? (await usable(dir, () => readFile(pathOf(hash)).catch(nullIfMissing)));
      if (bytes === null) return null;
      const found = sha256Hex(bytes);
      if (found !== hash) throw corrupt(hash, found);
      // A copy as plain Uint8Array, with its own memory.
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    async stream(hash, from = 0, to = Number.POSITIVE_INFINITY) {
      const path = pathOf(hash);
      const gathered = small.get(hash);
      if (gathered) return piecesInMemory(gathered, hash, from, to);
      const good = await usable(dir, () => verified.holds(hash, path));
      if (good === false) throw corrupt(hash, null);
      if (good === null) return null;
      const size_bytes = await sizeOfFile(path);
      if (from > 0 || to < (size_bytes ?? 0)) return piecesOf(path, from, to);
      return checkedPieces(path, hash, size_bytes ?? 0, () => verified.forget(hash));
    },
    sizeOf,
    async putAt(hash) {
      const path = pathOf(hash);
      const [gathered_ms, file] = [small.putAt(hash), await infoOfFile(path)];
      return gathered_ms === null && !file ? null : Math.max(gathered_ms ?? 0, file?.mtimeMs ?? 0);
    },
    async delete(hash) {
      const path = pathOf(hash);
      const was_small = small.delete(hash);
      return usable(dir, async () => {
        if ((await unlink(path).then(() => true, nullIfMissing)) === null) return was_small;
        await syncFolder(folderOf(hash));
        return true;
      });
    },
    list: () => merged(filesIn(dir), small.names()),
    close: small.close,
  };
}

/** Names of two ascending lists, each once. */
async function* merged(files: AsyncIterable<string>, small: Iterable<string>): AsyncGenerator<string, void> {
  const others = small[Symbol.iterator]();
  let other = others.next();
  for await (const name of files) {
    for (; !other.done && other.value < name; other = others.next()) yield other.value;
    if (!other.done && other.value === name) other = others.next();
    yield name;
  }
  for (; !other.done; other = others.next()) yield other.value;
}

async function* filesIn(dir: string): AsyncGenerator<string, void> {
  for (const first of await fanOut(dir)) {
    for (const second of await fanOut(join(dir, first))) {
      for (const name of (await readdir(join(dir, first, second))).sort()) {
        if (HASH_FORM.test(name) && name.startsWith(first + second)) yield name;
      }
    }
  }
}

/** Bytes that are in memory anyway. Throws `blob-corrupt`. */
function piecesInMemory(bytes: Uint8Array, hash: string, from: number, to: number): AsyncIterable<Uint8Array> {
  const found = sha256Hex(bytes);
  if (found !== hash) throw corrupt(hash, found);
  return (async function* () {
    const part = bytes.slice(from, to);
    if (part.length > 0) yield part;
  })();
}

const corrupt = (hash: string, found: string | null): LedgerError =>
  new LedgerError(
    'blob-corrupt',
    `the bytes of blob ${hash} have ${found === null ? 'another hash' : `the hash ${found}`}`,
    {
      ...{ hash, found },
    },
  );

/** A whole file, hashed while it is read. The last piece is held back until the hash is known to fit. Throws `blob-corrupt`. */
async function* checkedPieces(
  path: string,
  hash: string,
  size_bytes: number,
  onCorrupt: () => void,
): AsyncGenerator<Uint8Array, void> {
  const hasher = createHash('sha256');
  let last = new Uint8Array(0);
  for await (const piece of piecesOf(path, 0, size_bytes)) {
    hasher.update(piece);
    if (last.length > 0) yield last;
    last = piece as Uint8Array<ArrayBuffer>;
  }
  const found = hasher.digest('hex');
  if (found !== hash) {
    onCorrupt();
    throw corrupt(hash, found);
  }
  yield last;
}

const sizeOfFile = async (path: string): Promise<number | null> => (await infoOfFile(path))?.size ?? null;

async function infoOfFile(path: string): Promise<{ readonly size: number; readonly mtimeMs: number } | null> {
  const info = await stat(path).catch(nullIfMissing);
  return info?.isFile() ? info : null;
}

async function fanOut(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => FAN_OUT.test(name)).sort();
}

/** Removes the files of dead writers. Files of a living process stay, because it may be about to rename them. */
async function removeLeftovers(staging: string): Promise<void> {
  for (const name of await readdir(staging)) {
    const [pid, token] = name.split('-');
    const alive = Number(pid) === process.pid ? token === THIS_PROCESS : isRunning(Number(pid));
    if (!alive) await unlink(join(staging, name)).catch(nullIfMissing);
  }
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}

/** Runs a step on the folder; errors of the file system become LedgerError `disk-full`, `store-unusable`. */
async function usable<T>(dir: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    if (error instanceof LedgerError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new LedgerError(codeOfSystemError(error), `blob folder ${dir}: ${message}`, { dir, errno: code ?? null });
  }
}
