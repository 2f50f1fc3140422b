// A decoder of what signed events may hold, and nothing else: deterministic DAG-CBOR (ipld.io/specs/codecs/dag-cbor), no fractions or links.
//
// It makes one pass, and accepts bytes only when they are the encoding that @ipld/dag-cbor gives the decoded value (tested against it):
// shortest integers and lengths, map keys sorted by length and then by byte, no duplicates, well-formed UTF-8, nothing indefinite.
import { CodedError } from '../errors.ts';
import { ProtocolError } from './errors.ts';

/** What an event may hold. Amounts are integers; fractions are excluded, because two machines might round them differently. */
export type EventValue =
  | null
  | boolean
  | number
  | string
  | Uint8Array
  | readonly EventValue[]
  | { readonly [field: string]: EventValue };

/** The limit makes the format decide what is valid, not the size of a machine's stack. */
export const MAX_DEPTH = 16;

// Major types, RFC 8949 section 3.1.
const UNSIGNED = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const LIST = 4;
const MAP = 5;
const TAG = 6;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
/** Names of fields, ids and hashes: whoever reads a log meets each of them many times. */
const KNOWN_TEXT_BYTES = 64;
/** Of so many first bytes a text's place is made. */
const PLACING_BYTES = 12;
const KNOWN_TEXTS = 4096;

/** decodeStrict for a map. Throws what `bad` makes of the words for what is wrong. */
export function decodeStrictMap(bytes: Uint8Array, bad: (fact: string) => Error): Record<string, EventValue> {
  let value: EventValue;
  try {
    value = decodeStrict(bytes);
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    throw bad(error.message);
  }
  if (value && typeof value === 'object' && !Array.isArray(value) && !(value instanceof Uint8Array)) {
    return value as Record<string, EventValue>;
  }
  throw bad('expected a map');
}

/**
 * Decodes one value that fills `bytes` exactly. Byte strings in it are copies.
 * Throws ProtocolError: `malformed` (no CBOR, truncated, nested deeper than MAX_DEPTH, bytes left over),
 * `not-canonical` (another encoding of the value is the right one), `forbidden-value` (fractions, links, integers beyond 2^53 - 1).
 */
export function decodeStrict(bytes: Uint8Array): EventValue {
  // A plain view, because `slice` of Node's Buffer does not copy.
  data = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  at = 0;
  const result = value(0);
  if (at !== data.length) throw malformed(`${data.length - at} bytes are left over`);
  return result;
}

/** What is being decoded, and how far: nothing here calls anything that decodes. Functions of their own for each call would cost more than they do. */
let data: Uint8Array = new Uint8Array(0);
let at = 0;

function take(count: number): number {
  const start = at;
  if (count > data.length - at) throw malformed(`expected ${count} more bytes at ${at}, got ${data.length - at}`);
  at += count;
  return start;
}

/** The number in a head: RFC 8949 section 3, in its shortest form (section 4.2.1). */
function argument(info: number): number {
  if (info < 24) return info;
  if (info === 24) {
    const value = data[take(1)];
    return value >= 24 ? value : notShortest();
  }
  if (info === 25) {
    const i = take(2);
    const value = data[i] * 0x100 + data[i + 1];
    return value >= 0x100 ? value : notShortest();
  }
  if (info === 26) {
    const value = uint32(take(4));
    return value >= 0x10000 ? value : notShortest();
  }
  if (info === 27) {
    const high = uint32(take(8));
    if (high === 0) return notShortest();
    const value = high * 2 ** 32 + uint32(at - 4);
    // Beyond 2^53 the sum may have been rounded, but never to 2^53 - 1 or less.
    if (!Number.isSafeInteger(value)) throw forbidden('an integer or length beyond 2^53 - 1');
    return value;
  }
  throw malformed(info === 31 ? 'indefinite lengths are not allowed' : `reserved head ${info}`);
}

function uint32(i: number): number {
  return data[i] * 2 ** 24 + ((data[i + 1] << 16) | (data[i + 2] << 8) | data[i + 3]);
}

/** Texts that came before: each at the place that its first bytes give it, until another one comes there; and their lengths and bytes. */
const known: string[] = new Array(KNOWN_TEXTS).fill('');
const knownLengths = new Uint8Array(KNOWN_TEXTS);
const knownBytes = new Uint8Array(KNOWN_TEXTS * KNOWN_TEXT_BYTES);

/** One string for all occurrences of a text, as far as it is known: a map that is asked for it has hashed it already. */
function text(length: number): string {
  const start = take(length);
  if (length > KNOWN_TEXT_BYTES) return decoded(start);
  let place = length;
  const placing = Math.min(at, start + PLACING_BYTES);
  for (let i = start; i < placing; i++) place = (Math.imul(place, 31) + data[i]) & (KNOWN_TEXTS - 1);
  const there = place * KNOWN_TEXT_BYTES;
  if (knownLengths[place] === length) {
    let i = 0;
    while (i < length && knownBytes[there + i] === data[start + i]) i++;
    if (i === length) return known[place];
  }
  known[place] = decoded(start);
  knownLengths[place] = length;
  for (let i = 0; i < length; i++) knownBytes[there + i] = data[start + i];
  return known[place];
}

function decoded(start: number): string {
  try {
    return utf8.decode(data.subarray(start, at));
  } catch {
    throw malformed(`text at ${start} is not UTF-8`);
  }
}

function map(count: number, depth: number): EventValue {
  const fields: { [field: string]: EventValue } = {};
  let before = -1;
  let beforeLength = 0;
  for (let n = 0; n < count; n++) {
    const head = data[take(1)];
    if (head >> 5 !== TEXT) throw malformed(`expected a text as field name, got major type ${head >> 5}`);
    const length = argument(head & 31);
    const start = at;
    const field = text(length);
    if (before >= 0 && !follows(data, start, length, before, beforeLength)) {
      throw new ProtocolError('not-canonical', `field ${JSON.stringify(field)} is repeated or out of order`);
    }
    // Assigning this name would change the object's prototype instead of adding a field.
    if (field === '__proto__') throw forbidden('a field may not be named "__proto__"');
    before = start;
    beforeLength = length;
    fields[field] = value(depth + 1);
  }
  return fields;
}

function value(depth: number): EventValue {
  if (depth > MAX_DEPTH) throw malformed(`nested deeper than ${MAX_DEPTH}`);
  const head = data[take(1)];
  const info = head & 31;
  switch (head >> 5) {
    case UNSIGNED:
      return argument(info);
    case NEGATIVE: {
      const negative = -1 - argument(info);
      if (!Number.isSafeInteger(negative)) throw forbidden('an integer beyond -(2^53 - 1)');
      return negative;
    }
    case BYTES: {
      const start = take(argument(info));
      return data.slice(start, at);
    }
    case TEXT:
      return text(argument(info));
    case LIST: {
      const count = argument(info);
      // The list grows by element, never to the declared length: each element takes a byte, so `take` fails for a false length.
      const list: EventValue[] = [];
      for (let n = 0; n < count; n++) list.push(value(depth + 1));
      return list;
    }
    case MAP:
      return map(argument(info), depth);
    case TAG:
      throw forbidden(info === 24 ? 'a tag or link' : `tag ${info}`);
    default:
      if (head === 0xf4) return false;
      if (head === 0xf5) return true;
      if (head === 0xf6) return null;
      if (info >= 25 && info <= 27) throw forbidden('a fraction');
      throw malformed(`expected false, true or null, got simple value 0x${head.toString(16)}`);
  }
}

/** Whether the field name at `start` sorts strictly after the one at `before`: shorter first, then by byte (DAG-CBOR's order). */
function follows(data: Uint8Array, start: number, length: number, before: number, beforeLength: number): boolean {
  if (length !== beforeLength) return length > beforeLength;
  for (let i = 0; i < length; i++) {
    if (data[start + i] !== data[before + i]) return data[start + i] > data[before + i];
  }
  return false;
}

function notShortest(): never {
  throw new ProtocolError('not-canonical', 'an integer or length is not in its shortest form');
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('malformed', `CBOR: ${what}`);
}

function forbidden(what: string): ProtocolError {
  return new ProtocolError('forbidden-value', `signed events hold no such value: ${what}`);
}
