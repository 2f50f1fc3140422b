// Decodes bytes as text, piece by piece: UTF-8, or UTF-16 with a byte order mark. It needs nothing of Node, so that the page uses it too.
import { DataError } from './corpus-errors.ts';

interface Peeked {
  readonly head: Uint8Array;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Ends the stream, for a caller that has seen enough. */
  close(): Promise<void>;
}

/** The first bytes of a stream, at most `count`, and the whole stream from its beginning. */
export async function peek(bytes: AsyncIterable<Uint8Array>, count: number): Promise<Peeked> {
  const source = bytes[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (length < count) {
    const { value, done } = await source.next();
    if (done) break;
    pieces.push(value);
    length += value.length;
  }
  const head = new Uint8Array(Math.min(length, count));
  let at = 0;
  for (const piece of pieces) {
    head.set(piece.subarray(0, head.length - at), at);
    at = Math.min(head.length, at + piece.length);
  }
  const again = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* pieces.splice(0);
      for (let next = await source.next(); !next.done; next = await source.next()) yield next.value;
    } finally {
      await source.return?.();
    }
  };
  const close = async (): Promise<void> => {
    await source.return?.();
  };
  return { head, bytes: again(), close };
}

const startsWith = (bytes: Uint8Array, ...start: number[]): boolean => start.every((byte, at) => bytes[at] === byte);

/** The encoding of a text by its first bytes; null for UTF-8, which needs no mark. */
export function encodingOf(head: Uint8Array): 'utf-16le' | 'utf-16be' | 'utf-32' | null {
  if (startsWith(head, 0xff, 0xfe, 0, 0) || startsWith(head, 0, 0, 0xfe, 0xff)) return 'utf-32';
  if (startsWith(head, 0xff, 0xfe)) return 'utf-16le';
  return startsWith(head, 0xfe, 0xff) ? 'utf-16be' : null;
}

/** Converts UTF-16 to UTF-8. Throws DataError `bad-record` for half a surrogate pair. */
export async function* fromUtf16(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  encoding: 'utf-16le' | 'utf-16be',
): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  const encoder = new TextEncoder();
  let read_bytes = 0;
  const decode = (piece?: Uint8Array): Uint8Array => {
    try {
      return encoder.encode(decoder.decode(piece, { stream: piece !== undefined }));
    } catch {
      const fact = `not UTF-16 text, though its byte order mark says so: a broken character near byte ${read_bytes}`;
      throw new DataError('bad-record', `${path}: ${fact}`, { path, byte: read_bytes });
    }
  };
  for await (const piece of bytes) {
    yield decode(piece);
    read_bytes += piece.length;
  }
  yield decode();
}

/** The length of a UTF-8 character by its first byte; 0 for a byte that cannot be a first one. */
function lengthOf(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/** The end of the last whole character; the beginning of another may follow it. */
function wholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    return lengthOf(byte) > back ? bytes.length - back : bytes.length;
  }
  return bytes.length;
}

/** The position of the first byte that is not valid UTF-8 (Unicode 17, table 3-7); the length where all are valid. */
export function firstInvalid(bytes: Uint8Array): number {
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at];
    const length = lengthOf(first);
    const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
    const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
    if (length === 0 || (length > 1 && !(bytes[at + 1] >= low && bytes[at + 1] <= high))) return at;
    for (let k = 2; k < length; k++) if ((bytes[at + k] & 0xc0) !== 0x80) return at;
    at += length;
  }
  return bytes.length;
}

/** Decodes whole characters. Throws DataError `bad-record` with the position of the first byte that is not valid UTF-8. */
export function decodeUtf8(path: string, bytes: Uint8Array, from_byte: number, where = ''): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const byte = from_byte + firstInvalid(bytes);
    const value = bytes[byte - from_byte].toString(16).padStart(2, '0');
    throw new DataError('bad-record', `${path}: ${where}not UTF-8 text: byte ${byte} is 0x${value}`, { path, byte });
  }
}

/** Removes the byte order mark that some editors put before UTF-8. */
export async function* withoutMark(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { head, bytes: all } = await peek(bytes, 3);
  let skip = startsWith(head, 0xef, 0xbb, 0xbf) ? 3 : 0;
  for await (const piece of all) {
    const dropped = Math.min(skip, piece.length);
    skip -= dropped;
    yield piece.subarray(dropped);
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length === 0) return b;
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Decodes a stream of UTF-8 in pieces of whole characters. Offsets count the decompressed bytes after the mark. */
export async function* textPieces(path: string, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let held: Uint8Array = new Uint8Array(0);
  let from_byte = 0;
  for await (const piece of bytes) {
    const all = joined(held, piece);
    const end = wholeCharacters(all);
    if (end > 0) yield decodeUtf8(path, all.subarray(0, end), from_byte);
    from_byte += end;
    held = all.slice(end);
  }
  if (held.length > 0) yield decodeUtf8(path, held, from_byte);
}

const LINE_FEED = 10;

/** The lines of a stream as bytes, without their line ends. Throws DataError `too-large` for a line beyond the limit. */
export async function* byteLines(
  path: string,
  bytes: AsyncIterable<Uint8Array>,
  limit_bytes: number,
): AsyncGenerator<{ readonly line: number; readonly from_byte: number; readonly bytes: Uint8Array }> {
  let held: Uint8Array[] = [];
  let held_bytes = 0;
  let line = 1;
  let from_byte = 0;
  const all = (last: Uint8Array): Uint8Array => {
    const whole = held.length === 0 ? last : new Uint8Array(held_bytes + last.length);
    if (held.length > 0) {
      let at = 0;
      for (const part of [...held, last]) {
        whole.set(part, at);
        at += part.length;
      }
    }
    held = [];
    held_bytes = 0;
    return whole;
  };
  for await (const piece of bytes) {
    let start = 0;
    for (let end = piece.indexOf(LINE_FEED); end >= 0; end = piece.indexOf(LINE_FEED, start)) {
      const whole = all(piece.subarray(start, end));
      yield { line: line++, from_byte, bytes: whole };
      from_byte += whole.length + 1;
      start = end + 1;
    }
    if (start < piece.length) {
      held.push(piece.subarray(start));
      held_bytes += piece.length - start;
    }
    if (held_bytes > limit_bytes) {
      throw new DataError('too-large', `${path}: line ${line} is longer than ${limit_bytes} bytes`, { path, line });
    }
  }
  if (held_bytes > 0) yield { line, from_byte, bytes: all(new Uint8Array(0)) };
}
