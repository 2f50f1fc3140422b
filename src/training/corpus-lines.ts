// Plain text and JSON lines (https://jsonlines.org), read as a stream.
import { createReadStream } from 'node:fs';
import { DataError } from './corpus-errors.ts';

/** A text file beyond this many characters comes in parts, cut at the end of a line, so that memory stays bounded. */
const PART_CHARACTERS = 4 * 2 ** 20;
/** One JSON line; a longer one is no document but a mistake (a whole data set in one array). */
const LIMIT_LINE_CHARACTERS = 16 * 2 ** 20;

/** A file's text in pieces of some hundred kilobytes; throws `bad-record` where it is not UTF-8. */
async function* decoded(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  const decode = (bytes?: Uint8Array): string => {
    try {
      return decoder.decode(bytes, { stream: bytes !== undefined });
    } catch {
      throw new DataError('bad-record', `${path}: not UTF-8 text`, { path });
    }
  };
  for await (const bytes of createReadStream(path, { highWaterMark: 256 * 1024 })) yield decode(bytes);
  yield decode();
}

/** Where to end a part: after its last line, or, in a file without lines, not within a surrogate pair. */
function cutAt(text: string): number {
  const line_end = text.lastIndexOf('\n') + 1;
  if (line_end > 0) return line_end;
  const last = text.charCodeAt(text.length - 1);
  return last >= 0xd800 && last < 0xdc00 ? text.length - 1 : text.length;
}

/** A text file as one document, or as several where it is larger than a part. */
export async function* readPlainText(path: string): AsyncGenerator<string> {
  let part = '';
  for await (const piece of decoded(path)) {
    part += piece;
    if (part.length < PART_CHARACTERS) continue;
    const end = cutAt(part);
    yield part.slice(0, end);
    part = part.slice(end);
  }
  if (part !== '') yield part;
}

/** The lines of a text file with their numbers, from 1. */
async function* numberedLines(path: string): AsyncGenerator<[number, string]> {
  let number = 1;
  let rest = '';
  for await (const piece of decoded(path)) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield [number++, line];
    if (rest.length > LIMIT_LINE_CHARACTERS) {
      throw new DataError('too-large', `${path}: line ${number} is longer than ${LIMIT_LINE_CHARACTERS} characters`, {
        path,
        line: number,
      });
    }
  }
  if (rest !== '') yield [number, rest];
}

/** The text field of each line's object. Blank lines and null texts are left out. */
export async function* readJsonLines(path: string, text_field: string): AsyncGenerator<string> {
  for await (const [line, json] of numberedLines(path)) {
    if (json.trim() === '') continue;
    const bad = (fact: string) => new DataError('bad-record', `${path}: line ${line} ${fact}`, { path, line });
    let record: unknown;
    try {
      record = JSON.parse(json);
    } catch {
      throw bad('is not JSON');
    }
    if (typeof record !== 'object' || record === null || Array.isArray(record)) throw bad('is no JSON object');
    const text = Object.hasOwn(record, text_field) ? (record as Record<string, unknown>)[text_field] : undefined;
    if (text === null) continue;
    if (typeof text !== 'string') {
      const names = Object.keys(record).slice(0, 8).join(', ');
      throw bad(`has no text in "${text_field}" (its fields: ${names})`);
    }
    yield text;
  }
}
