// Plain text and JSON lines (https://jsonlines.org) from a stream of UTF-8.
import { DataError } from './corpus-errors.ts';
import { textOf } from './corpus-record.ts';
import { byteLines, decodeUtf8, textPieces } from './corpus-text.ts';

/** A text file longer than this many characters is split into parts at line ends, so that memory stays bounded. */
const PART_CHARACTERS = 4 * 2 ** 20;
/** The limit of one JSON line; a longer one is not a document but a mistake (a whole data set in one array). */
const LIMIT_LINE_BYTES = 16 * 2 ** 20;

/** One file while it is read: its name for people, and its decompressed bytes in UTF-8. */
export interface TextSource {
  readonly path: string;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** What the caller of a reader wants of each file. */
export interface Reading {
  /** The field, column or path that holds the text; without it the usual ones. */
  readonly text_field?: string;
  /** Records that a record cannot be read. Throws the error where no more of them may be skipped. */
  bad(error: DataError): void;
  /** Counts a chat. */
  chat(): void;
}

/** Where to end a part: after its last line or, in a file without lines, not within a surrogate pair. */
function cutAt(text: string): number {
  const line_end = text.lastIndexOf('\n') + 1;
  if (line_end > 0) return line_end;
  const last = text.charCodeAt(text.length - 1);
  return (last >= 0xd800 && last < 0xdc00) || last === 13 ? text.length - 1 : text.length;
}

/** A text file as one document, or as several where it is larger than a part. */
export async function* readPlainText({ path, bytes }: TextSource): AsyncGenerator<string> {
  let part = '';
  for await (const piece of textPieces(path, bytes)) {
    part += piece;
    if (part.length < PART_CHARACTERS) continue;
    const end = cutAt(part);
    yield part.slice(0, end);
    part = part.slice(end);
  }
  if (part !== '') yield part;
}

/** A record's text; null for a record without text, and for one that is skipped. */
export function textOrSkipped(
  record: unknown,
  bad: (fact: string) => DataError,
  { text_field, ...reading }: Reading,
): string | null {
  const found = textOf(record, text_field);
  if (found === null) return null;
  if ('fault' in found) {
    reading.bad(bad(found.fault));
    return null;
  }
  if (found.chat) reading.chat();
  return found.text;
}

/** The text of each line's object. Blank lines and null texts are left out. */
export async function* readJsonLines({ path, bytes }: TextSource, reading: Reading): AsyncGenerator<string> {
  for await (const { line, from_byte, bytes: json } of byteLines(path, bytes, LIMIT_LINE_BYTES)) {
    const bad = (fact: string) => new DataError('bad-record', `${path}: line ${line} ${fact}`, { path, line });
    let text: string;
    try {
      text = decodeUtf8(path, json, from_byte, `line ${line} is `);
    } catch (error) {
      reading.bad(error as DataError);
      continue;
    }
    if (text.trim() === '') continue;
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      reading.bad(bad('is not JSON'));
      continue;
    }
    const document = textOrSkipped(record, bad, reading);
    if (document !== null) yield document;
  }
}
