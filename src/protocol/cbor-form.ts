// Checks the bytes of a message before any object is built from them: they must be one item of plain, shallow CBOR (RFC 8949).
import { ProtocolError } from './errors.ts';

/** No message nests deeper: a status holds runs, which hold peers, which hold progress. */
export const MESSAGE_DEPTH = 12;

// Major types, RFC 8949 section 3.1.
const TEXT = 3;
const MAP = 5;
const TAG = 6;
const SIMPLE = 7;

/**
 * Checks that the bytes are exactly one CBOR item made of numbers, bytes, texts, lists, maps with text keys, true, false, null and
 * undefined. It builds nothing, so a declared length allocates nothing before its bytes are there. It refuses tags, because a tag can
 * make a decoder build other things (shared structures, cycles, regular expressions).
 * @param most_items how many entries all lists and maps may have together: decoded, an entry takes far more memory than its bytes
 * Throws ProtocolError `malformed`.
 */
export function checkCborForm(data: Uint8Array, most_items = Number.POSITIVE_INFINITY): void {
  let at = 0;
  let items = 0;

  const take = (count: number): number => {
    const start = at;
    if (count > data.length - at) throw malformed(`${count} bytes at ${at}`, `${data.length - at}`);
    at += count;
    return start;
  };

  /** The number in an item's head. A length of 2^32 or more is always longer than the message. */
  const argument = (info: number): number => {
    if (info < 24) return info;
    if (info > 27) throw malformed('definite lengths', info === 31 ? 'an indefinite one' : `reserved head ${info}`);
    const size = 2 ** (info - 24);
    const start = take(size);
    let value = 0;
    for (let i = start; i < start + size; i++) value = value * 256 + data[i];
    return value;
  };

  const item = (depth: number): void => {
    if (depth > MESSAGE_DEPTH) throw malformed(`at most ${MESSAGE_DEPTH} levels`, 'more');
    const head = data[take(1)];
    const major = head >> 5;
    const info = head & 31;
    if (major === TAG) throw malformed('plain data', 'a tag');
    if (major === SIMPLE) {
      // false, true, null, undefined; half, single and double floats.
      if (info >= 20 && info <= 23) return;
      if (info < 25 || info > 27) throw malformed('plain data', `simple value ${info}`);
      take(2 ** (info - 24));
      return;
    }
    const value = argument(info);
    if (major < 2) return;
    if (major <= TEXT) {
      take(value);
      return;
    }
    items += value;
    if (items > most_items) throw malformed(`at most ${most_items} fields`, `${items}`);
    // Every item takes at least one byte, so a count that promises too many items fails at the end of the bytes.
    for (let i = 0; i < value; i++) {
      if (major === MAP) key();
      item(depth + 1);
    }
  };

  const key = (): void => {
    const head = data[take(1)];
    if (head >> 5 !== TEXT) throw malformed('texts as field names', `major type ${head >> 5}`);
    take(argument(head & 31));
  };

  item(0);
  if (at !== data.length) throw malformed('one item', `${data.length - at} bytes more`);
}

function malformed(expected: string, got: string): ProtocolError {
  return new ProtocolError('malformed', `message: expected ${expected}, got ${got}`);
}
