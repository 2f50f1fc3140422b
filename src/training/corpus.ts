// Text to learn from: .txt, .md, .jsonl and Parquet files and folders of them, as a stream of documents in bounded memory.
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { DataError } from './corpus-errors.ts';
import { readJsonLines, readPlainText } from './corpus-lines.ts';
import { readParquet } from './corpus-parquet.ts';

export interface CorpusOptions {
  /** The field of a JSON line or the column of a Parquet file that holds the text. Default "text", as on Hugging Face. */
  readonly text_field?: string;
}

/** What is read in a folder; a file that is named directly and has another ending is read as plain text. */
const READERS: Readonly<Record<string, (path: string, text_field: string) => AsyncIterable<string>>> = {
  '.txt': readPlainText,
  '.md': readPlainText,
  '.markdown': readPlainText,
  '.jsonl': readJsonLines,
  '.ndjson': readJsonLines,
  '.parquet': readParquet,
};

const readerOf = (path: string) => READERS[extname(path).toLowerCase()];

/** Errors of the file system as the sentence that the owner of the files needs. */
function fileError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException)?.code;
  if (code === 'ENOENT') return new DataError('missing-file', `${path}: no such file or folder`, { path });
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    return new DataError('unreadable-file', `${path}: cannot be read (${code})`, { path });
  }
  return error;
}

/**
 * The readable files of a folder and the folders in it, in the order of their names' UTF-16 code units, the same on every machine.
 * Links are not followed, so that nothing outside is read and nothing twice; names that begin with a dot are left out.
 */
async function* filesIn(folder: string): AsyncGenerator<string> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) yield* filesIn(path);
    else if (entry.isFile() && readerOf(path)) yield path;
  }
}

async function* filesOf(path: string): AsyncGenerator<string> {
  const found = await stat(path);
  if (found.isDirectory()) yield* filesIn(path);
  else if (found.isFile()) yield path;
  else throw new DataError('unreadable-file', `${path}: neither a file nor a folder`, { path });
}

/**
 * The documents of a file or folder, one after the other; empty ones are left out.
 * A document is a text file, a JSON line or a row of a Parquet file; a very large text file comes in several parts.
 * Throws DataError: `missing-file`, `unreadable-file`, `bad-record` (with file and line), `too-large`, `no-text` at the end of nothing.
 */
export async function* readTexts(path: string, { text_field = 'text' }: CorpusOptions = {}): AsyncGenerator<string> {
  let documents = 0;
  let at = path;
  try {
    for await (const file of filesOf(path)) {
      at = file;
      for await (const text of (readerOf(file) ?? readPlainText)(file, text_field)) {
        if (text.trim() === '') continue;
        documents++;
        yield text;
      }
    }
  } catch (error) {
    throw fileError(at, error);
  }
  if (documents === 0) {
    const kinds = Object.keys(READERS).join(', ');
    throw new DataError('no-text', `${path}: no text found; read are ${kinds} files and folders of them`, { path });
  }
}
