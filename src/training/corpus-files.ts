// Which files of a folder are read, and which are left out and why. Links are followed, and nothing is read twice.
import type { Dirent } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { STDIN } from './corpus-bytes.ts';
import { DataError } from './corpus-errors.ts';
import { kindByName } from './corpus-kinds.ts';

export interface FoundFile {
  readonly path: string;
  readonly size_bytes: number;
  /** Whether the caller named it, or a folder that contains it. */
  readonly named: boolean;
  /** Whether it is on a disk and can be read at any position, as Parquet needs. */
  readonly stored: boolean;
}

/** What was left out: for each reason how often, and one path as an example. */
export type LeftOut = Map<string, { count: number; readonly example: string }>;

export const READ_ALREADY = 'read already under another name';

export function leaveOut(left_out: LeftOut, reason: string, path: string): void {
  const known = left_out.get(reason);
  if (known) known.count++;
  else left_out.set(reason, { count: 1, example: path });
}

/** "2 broken links, 1 .pdf, 3 hidden"; empty where nothing was left out. */
export function leftOutSentence(left_out: LeftOut): string {
  const plural = (reason: string, count: number): string =>
    count === 1 ? reason : reason.replace(/^(broken )?link/, '$&s');
  return [...left_out].map(([reason, { count }]) => `${count} ${plural(reason, count)}`).join(', ');
}

/** Turns an error of the file system into a sentence for the owner of the files. */
export function fileError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException)?.code;
  if (code === 'ENOENT') return new DataError('missing-file', `${path}: no such file or folder`, { path });
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    return new DataError('unreadable-file', `${path}: cannot be read (${code})`, { path });
  }
  return error;
}

/** Caches store files under their hash, without an ending; such a file may be Parquet, which its first bytes show. */
async function isBareParquet(path: string): Promise<boolean> {
  if (extname(path) !== '') return false;
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(5), 0, 5, 0);
    return bytesRead === 5 && buffer.toString('latin1') === 'PAR1\x15';
  } finally {
    await file.close();
  }
}

/** An ending together with that of the compression: ".csv.gz". */
const endingOf = (path: string): string => /(?:\.[^./\\]{1,12})?\.[^./\\]+$/.exec(path)?.[0].toLowerCase() ?? '';

/** Finds the files of several paths; each file is returned once, whatever its names. */
export function openWalk(left_out: LeftOut): { files(path: string): AsyncGenerator<FoundFile> } {
  const seen = new Set<string>();
  /** Whether a file or folder is met for the first time. */
  const claim = (real: string, path: string): boolean => {
    if (seen.has(real)) leaveOut(left_out, READ_ALREADY, path);
    else if (seen.add(real)) return true;
    return false;
  };

  /** In the order of the names' UTF-16 code units, the same on every machine. @param above the folders that contain this one */
  async function* filesIn(folder: string, above: ReadonlySet<string>): AsyncGenerator<FoundFile> {
    const entries: Dirent[] = await readdir(folder, { withFileTypes: true });
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.name.startsWith('.')) leaveOut(left_out, 'hidden', path);
      else yield* entryAt(path, entry.isSymbolicLink(), above);
    }
  }

  async function* entryAt(path: string, is_link: boolean, above: ReadonlySet<string>): AsyncGenerator<FoundFile> {
    let real: string;
    try {
      real = await realpath(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (!is_link || (code !== 'ENOENT' && code !== 'ELOOP')) throw fileError(path, error);
      return leaveOut(left_out, code === 'ELOOP' ? 'link in a circle' : 'broken link', path);
    }
    const found = await stat(real);
    if (found.isDirectory()) {
      if (above.has(real)) return leaveOut(left_out, 'link in a circle', path);
      if (claim(real, path)) yield* filesIn(path, new Set([...above, real]));
      return;
    }
    if (!found.isFile()) return leaveOut(left_out, 'neither file nor folder', path);
    if (!kindByName(path) && !(await isBareParquet(real))) {
      return leaveOut(left_out, endingOf(path) || 'without an ending', path);
    }
    if (found.size === 0) return leaveOut(left_out, 'empty', path);
    if (claim(real, path)) yield { path, size_bytes: found.size, named: false, stored: true };
  }

  async function* files(path: string): AsyncGenerator<FoundFile> {
    if (path === STDIN) return yield { path, size_bytes: 0, named: true, stored: false };
    try {
      const found = await stat(path);
      // A pipe has no name of its own, only what the shell puts in the place of <(…).
      if (found.isFIFO()) return yield { path, size_bytes: 0, named: true, stored: false };
      const real = await realpath(path);
      if (found.isDirectory()) {
        if (claim(real, path)) yield* filesIn(path, new Set([real]));
      } else if (!found.isFile()) {
        throw new DataError('unreadable-file', `${path}: neither a file nor a folder`, { path });
      } else if (claim(real, path)) yield { path, size_bytes: found.size, named: true, stored: true };
    } catch (error) {
      throw fileError(path, error);
    }
  }
  return { files };
}
