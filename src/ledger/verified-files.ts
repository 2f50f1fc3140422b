// Which files hold the bytes that their names promise. Each is read completely once, and again after it changed or after a day.
import { createHash } from 'node:crypto';
import { type FileHandle, open, stat } from 'node:fs/promises';

/** How much is read at once: hashing it takes less than a tenth of a millisecond, so other tasks are not held up. */
export const PIECE_BYTES = 64 << 10;
/** A failing disk can damage a file without changing its time or size. */
const LOOK_AGAIN_MS = 24 * 3_600_000;
/** How many names are remembered, some 200 bytes each. */
const REMEMBERED = 100_000;

export interface VerifiedFiles {
  /** Whether the file at `path` holds bytes of the hash; null where there is no file. Throws what the file system throws. */
  holds(hash: string, path: string): Promise<boolean | null>;
  /** Call this when the file at `path` was just written with bytes of that hash. */
  written(hash: string, path: string): Promise<void>;
  /** The file must be read again before it is believed. */
  forget(hash: string): void;
}

/** The state of a file when it was last read completely. */
interface Seen {
  readonly as: string;
  readonly at_ms: number;
}

export function verifiedFiles(now_ms: () => number = () => performance.now()): VerifiedFiles {
  const seen = new Map<string, Seen>();
  const reading = new Map<string, Promise<boolean | null>>();

  const remember = (hash: string, as: string): void => {
    seen.delete(hash);
    seen.set(hash, { as, at_ms: now_ms() });
    if (seen.size > REMEMBERED) seen.delete(seen.keys().next().value!);
  };

  const readThrough = async (hash: string, path: string): Promise<boolean | null> => {
    const as = await looks(path);
    if (as === null) return null;
    const found = createHash('sha256');
    try {
      for await (const piece of piecesOf(path)) found.update(piece);
    } catch (error) {
      return nullIfMissing(error as NodeJS.ErrnoException);
    }
    const good = found.digest('hex') === hash;
    if (good) remember(hash, as);
    return good;
  };

  return {
    async holds(hash, path) {
      const as = await looks(path);
      if (as === null) return null;
      const known = seen.get(hash);
      if (known?.as === as && now_ms() - known.at_ms < LOOK_AGAIN_MS) return true;
      let look = reading.get(hash);
      if (!look) {
        look = readThrough(hash, path).finally(() => reading.delete(hash));
        reading.set(hash, look);
      }
      return look;
    },
    async written(hash, path) {
      const as = await looks(path);
      if (as !== null) remember(hash, as);
    },
    forget: (hash) => void seen.delete(hash),
  };
}

/** The bytes [from, to) of a file in pieces, through one descriptor that is closed when the iteration ends. */
export async function* piecesOf(
  path: string,
  from = 0,
  to = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array, void> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    for (let at = from; at < to; ) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(Math.min(PIECE_BYTES, to - at)), { position: at });
      if (bytesRead === 0) return;
      at += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file?.close();
  }
}

/** A text that differs between two states of a file; null where there is no file. */
async function looks(path: string): Promise<string | null> {
  const info = await stat(path).catch(nullIfMissing);
  return info?.isFile() ? `${info.ino} ${info.size} ${info.mtimeMs}` : null;
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code === 'ENOENT') return null;
  throw error;
}
