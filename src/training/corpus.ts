// Text to learn from: files, folders and a pipe, of every kind that docs/data.md lists, as a stream of documents in bounded memory.
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type OpenedText, openBytes, STDIN } from './corpus-bytes.ts';
import { DataError } from './corpus-errors.ts';
import {
  type FoundFile,
  fileError,
  type LeftOut,
  leaveOut,
  leftOutSentence,
  openWalk,
  READ_ALREADY,
} from './corpus-files.ts';
import { readJson } from './corpus-json.ts';
import { ENDINGS, type Kind, kindByName } from './corpus-kinds.ts';
import { type Reading, readJsonLines, readPlainText } from './corpus-lines.ts';
import { readParquet } from './corpus-parquet.ts';

/** A Parquet file from a pipe or a compressed file is written to disk first; a larger one must be unpacked by hand. */
const LIMIT_UNPACKED_BYTES = 16 * 2 ** 30;

export interface CorpusOptions {
  /** The field of a JSON record or the column of a Parquet file with the text, or a path to it: "doc.text". Default: the usual ones. */
  readonly text_field?: string;
  /** How many unreadable records are skipped; one more ends the reading. Default 0. */
  readonly skip_bad?: number;
  /** A report that is updated while the texts are read. */
  readonly report?: CorpusReport;
}

/** What was read and what was not; it grows while the texts are read. */
export interface CorpusReport {
  files: number;
  documents: number;
  /** How many of the documents were chats. */
  chats: number;
  /** The size of the files on disk, and how much of it has been read; a pipe's size is not known in advance. */
  total_bytes: number;
  read_bytes: number;
  readonly kinds: Map<string, number>;
  /** Files with the line ends of Windows. */
  crlf_files: number;
  utf16_files: number;
  bad_records: number;
  first_bad: string | null;
  readonly left_out: LeftOut;
}

export const emptyReport = (): CorpusReport => ({
  ...{ files: 0, documents: 0, chats: 0, total_bytes: 0, read_bytes: 0, crlf_files: 0, utf16_files: 0 },
  ...{ bad_records: 0, first_bad: null, kinds: new Map(), left_out: new Map() },
});

const KIND_NAMES: Readonly<Record<Kind, string>> = {
  text: 'plain text',
  lines: 'JSON lines',
  json: 'JSON',
  parquet: 'Parquet',
};

/** How a file is read, in words. An unknown ending is mentioned, because its owner may have meant something else. */
function kindName(kind: Kind, path: string): string {
  const ending = extname(path).toLowerCase();
  return kind !== 'text' || kindByName(path) || ending === '' ? KIND_NAMES[kind] : `${ending} as plain text`;
}

/** Copies a stream to a file for as long as it is read, because Parquet is read from its end. */
async function* readUnpackedParquet(name: string, opened: OpenedText, reading: Reading): AsyncGenerator<string> {
  const folder = await mkdtemp(join(tmpdir(), 'potluck-parquet-'));
  try {
    let size_bytes = 0;
    const bounded = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of opened.bytes) {
        size_bytes += piece.length;
        if (size_bytes > LIMIT_UNPACKED_BYTES) {
          throw new DataError('too-large', `${name}: more than ${LIMIT_UNPACKED_BYTES} bytes unpacked`, { path: name });
        }
        yield piece;
      }
    };
    const file = join(folder, 'unpacked.parquet');
    await pipeline(Readable.from(bounded()), createWriteStream(file));
    yield* readParquet(file, reading, { name });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The records of one file, by its kind. */
async function* textsIn(file: FoundFile, report: CorpusReport, reading: Reading): AsyncGenerator<string> {
  const { path, size_bytes } = file;
  const before = report.read_bytes;
  const opened = await openBytes(path, (count) => {
    report.read_bytes += count;
  });
  const name = path === STDIN ? 'standard input' : path;
  report.files++;
  if (opened.utf16) report.utf16_files++;
  const kind = kindName(opened.kind, path);
  report.kinds.set(kind, (report.kinds.get(kind) ?? 0) + 1);
  const source = { path: name, bytes: opened.bytes };
  if (opened.kind === 'text') yield* readPlainText(source);
  else if (opened.kind === 'lines') yield* readJsonLines(source, reading);
  else if (opened.kind === 'json') yield* readJson(source, reading);
  else if (opened.compressed || !file.stored) yield* readUnpackedParquet(name, opened, reading);
  else {
    await opened.close();
    report.read_bytes = before;
    yield* readParquet(path, reading, {
      onRows: (part) => {
        report.read_bytes += Math.round(part * size_bytes);
      },
    });
  }
}

/** The documents of one file: none is empty, and all have the line ends of Unix. */
async function* documentsOf(file: FoundFile, report: CorpusReport, reading: Reading): AsyncGenerator<string> {
  let has_crlf = false;
  try {
    for await (const text of textsIn(file, report, reading)) {
      if (text.trim() === '') continue;
      report.documents++;
      const crlf = text.includes('\r\n');
      if (crlf && !has_crlf) report.crlf_files++;
      has_crlf ||= crlf;
      yield crlf ? text.replaceAll('\r\n', '\n') : text;
    }
  } catch (error) {
    throw fileError(file.path, error);
  }
}

/** Whether a .json file in a folder contains records with text: settings and notes often lie beside data. */
async function holdsTexts({ path }: FoundFile, text_field: string | undefined): Promise<boolean> {
  const refuse = (error: DataError): never => {
    throw error;
  };
  const opened = await openBytes(path, () => {});
  try {
    const texts = readJson({ path, bytes: opened.bytes }, { text_field, bad: refuse, chat: () => {} });
    for await (const _ of texts) return true;
    return false;
  } catch (error) {
    if (error instanceof DataError) return false;
    throw error;
  }
}

/** Counts bad records, and skips as many as are allowed. */
function skipper(report: CorpusReport, allowed: number): Reading['bad'] {
  return (error) => {
    if (report.bad_records >= allowed) {
      if (allowed === 0) throw error;
      const fact = `${error.message}; ${allowed} bad records before it were skipped, as --skip-bad ${allowed} allows`;
      throw new DataError(error.code, fact, error.details);
    }
    report.bad_records++;
    report.first_bad ??= error.message;
  };
}

/**
 * The documents of files and folders, one after the other. Empty ones are left out, and line ends are those of Unix.
 * A document is a text file, a record of JSON or a row of a Parquet file; a very large text file comes in several parts.
 * Throws DataError: `missing-file`, `unreadable-file`, `bad-record` (with file and position), `too-large`, `no-text` for a path without text.
 */
export async function* readTexts(
  paths: string | readonly string[],
  options: CorpusOptions = {},
): AsyncGenerator<string> {
  const { text_field, skip_bad = 0, report = emptyReport() } = options;
  const reading: Reading = { text_field, bad: skipper(report, skip_bad), chat: () => void report.chats++ };
  const found: { path: string; files: FoundFile[] }[] = [];
  const walk = openWalk(report.left_out);
  for (const path of [paths].flat()) {
    const files: FoundFile[] = [];
    for await (const file of walk.files(path)) {
      if (!file.named && kindByName(file.path) === 'json' && !(await holdsTexts(file, text_field))) {
        leaveOut(report.left_out, `.json without a ${text_field ?? 'text'}`, file.path);
      } else files.push(file);
    }
    report.total_bytes += files.reduce((sum, file) => sum + file.size_bytes, 0);
    found.push({ path, files });
  }
  for (const { path, files } of found) {
    const before = report.documents;
    for (const file of files) yield* documentsOf(file, report, reading);
    const twice = files.length === 0 && report.left_out.has(READ_ALREADY);
    if (report.documents === before && !twice) throw noText(path, report);
  }
}

function noText(path: string, { left_out }: CorpusReport): DataError {
  const others = left_out.size > 0 ? `; left out: ${leftOutSentence(left_out)}` : '';
  const fact = `no text found; Potluck reads ${ENDINGS} files and folders of them`;
  return new DataError('no-text', `${path === STDIN ? 'standard input' : path}: ${fact}${others}`, { path });
}
