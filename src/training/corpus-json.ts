// Reads JSON files item by item, without parsing them as a whole: an array of records, consecutive records, or JSON lines under another name.
import { DataError } from './corpus-errors.ts';
import { type Reading, readJsonLines, type TextSource, textOrSkipped } from './corpus-lines.ts';
import { peek, textPieces } from './corpus-text.ts';

/** The limit of one record; a longer one is not a document but a whole data set in one value. */
const LIMIT_ITEM_CHARACTERS = 16 * 2 ** 20;
/** How much of a file is read to tell which of the three forms it has. */
const PEEKED_BYTES = 65_536;

const [QUOTE, BACKSLASH, COMMA] = ['"', '\\', ','].map((character) => character.charCodeAt(0));
const isOpening = (code: number): boolean => code === 0x7b || code === 0x5b;
const isClosing = (code: number): boolean => code === 0x7d || code === 0x5d;
const isSpace = (code: number): boolean => code === 32 || (code >= 9 && code <= 13);

/** The form of a JSON file, by its beginning; null where it is not JSON. */
export function jsonFormOf(head: string): 'array' | 'lines' | 'sequence' | null {
  const text = head.trimStart();
  if (/^\[\s*(?:[{"\][]|$)/.test(text)) return 'array';
  if (!/^\{\s*(?:"|\}|$)/.test(text)) return null;
  const line_end = text.indexOf('\n');
  if (line_end < 0) return 'lines';
  try {
    JSON.parse(text.slice(0, line_end));
    return 'lines';
  } catch {
    // A broken line is reported with its number, and an object over several lines is not JSON lines.
    return /^\{\s*\n/.test(text) || /^\{[^\n]*[,[{]\s*\n/.test(text) ? 'sequence' : 'lines';
  }
}

/** Cuts the text of an array, or of consecutive values, into its items. */
async function* itemsOf(
  path: string,
  pieces: AsyncIterable<string>,
  in_array: boolean,
): AsyncGenerator<{ readonly item: number; readonly json: string }> {
  let held = '';
  let item = 1;
  let depth = in_array ? -1 : 0; // the array's own bracket raises it to 0
  let in_string = false;
  let escaped = false;
  let ended = false;
  for await (const piece of pieces) {
    let start = 0;
    for (let i = 0; i < piece.length; i++) {
      const code = piece.charCodeAt(i);
      if (in_string) {
        if (escaped) escaped = false;
        else if (code === BACKSLASH) escaped = true;
        else if (code === QUOTE) in_string = false;
        continue;
      }
      if (ended && !isSpace(code)) {
        throw new DataError('bad-record', `${path}: expected nothing after its array, got more`, { path });
      }
      if (code === QUOTE) in_string = true;
      else if (isOpening(code)) {
        depth++;
        if (in_array && depth === 0 && held === '' && item === 1) start = i + 1;
      } else if (isClosing(code)) depth--;
      const complete = in_array
        ? (depth === 0 && code === COMMA) || (depth === -1 && isClosing(code))
        : depth === 0 && isClosing(code);
      if (!complete) continue;
      const json = held + piece.slice(start, in_array ? i : i + 1);
      ended = depth === -1;
      held = '';
      start = i + 1;
      if (!ended || json.trim() !== '') yield { item: item++, json };
    }
    if (!ended) held += piece.slice(start);
    if (held.length > LIMIT_ITEM_CHARACTERS) {
      const fact = `item ${item} is longer than ${LIMIT_ITEM_CHARACTERS} characters`;
      throw new DataError('too-large', `${path}: ${fact}`, { path, item });
    }
  }
  if (in_array ? !ended : held.trim() !== '') {
    throw new DataError('bad-record', `${path}: ends in the middle of item ${item}`, { path, item });
  }
}

/** The texts of a JSON file's records. Throws DataError `bad-record` with the number of the item or line, or `too-large`. */
export async function* readJson({ path, bytes }: TextSource, reading: Reading): AsyncGenerator<string> {
  const { head, bytes: all } = await peek(bytes, PEEKED_BYTES);
  const beginning = new TextDecoder().decode(head);
  const form = jsonFormOf(beginning);
  if (form === 'lines') return yield* readJsonLines({ path, bytes: all }, reading);
  if (form === null) {
    if (beginning.trim() === '') return;
    throw new DataError('bad-record', `${path}: expected JSON with an array or objects`, { path });
  }
  for await (const { item, json } of itemsOf(path, textPieces(path, all), form === 'array')) {
    const bad = (fact: string) => new DataError('bad-record', `${path}: item ${item} ${fact}`, { path, item });
    let record: unknown;
    try {
      record = JSON.parse(json);
    } catch {
      reading.bad(bad('is not JSON'));
      continue;
    }
    const document = textOrSkipped(record, bad, reading);
    if (document !== null) yield document;
  }
}
