// The encoder beside strict-cbor.ts: deterministic DAG-CBOR (ipld.io/specs/codecs/dag-cbor) of what signed events may hold.
//
// It writes what @ipld/dag-cbor writes (a test compares them) in half the time, because a replay encodes every opened seal again.
import { ProtocolError } from './errors.ts';
import { sha256Hex, utf8 } from './hash.ts';
import { type EventValue, MAX_DEPTH } from './strict-cbor.ts';

/** Size of the buffer that is kept between calls; a larger value gets its own buffer. */
const KEPT_BYTES = 64 * 1024;
const HEAD_BYTES = 9;

let data = new Uint8Array(KEPT_BYTES);
let at = 0;

/**
 * The canonical encoding of a value, in a new array.
 * Throws ProtocolError: `forbidden-value` (fractions, integers beyond 2^53 - 1, lone surrogates, a field "__proto__", anything that is no
 * plain data), `malformed` (nested deeper than MAX_DEPTH).
 */
export const encodeStrict = (value: EventValue): Uint8Array => withEncoding(value, (bytes) => bytes.slice());

/** The SHA-256 of the canonical encoding, in hexadecimal. Throws as encodeStrict does. */
export const hashOfStrict = (value: EventValue): string => withEncoding(value, sha256Hex);

/** @param use gets the encoding, which is overwritten by the next one */
function withEncoding<T>(value: EventValue, use: (bytes: Uint8Array) => T): T {
  at = 0;
  try {
    write(value, 0);
    return use(data.subarray(0, at));
  } finally {
    if (data.length > KEPT_BYTES) data = new Uint8Array(KEPT_BYTES);
  }
}

function reserve(bytes: number): void {
  if (at + bytes <= data.length) return;
  const larger = new Uint8Array(Math.max(2 * data.length, at + bytes));
  larger.set(data.subarray(0, at));
  data = larger;
}

/** RFC 8949 section 3, in the shortest form (section 4.2.1). `major` is the major type in the three highest bits. */
function head(major: number, argument: number): void {
  reserve(HEAD_BYTES);
  if (argument < 24) {
    data[at++] = major | argument;
  } else if (argument < 0x100) {
    data[at++] = major | 24;
    data[at++] = argument;
  } else if (argument < 0x10000) {
    data[at++] = major | 25;
    data[at++] = argument >> 8;
    data[at++] = argument;
  } else if (argument < 0x100000000) {
    data[at++] = major | 26;
    uint32(argument);
  } else {
    data[at++] = major | 27;
    uint32(Math.floor(argument / 0x100000000));
    uint32(argument % 0x100000000);
  }
}

function uint32(value: number): void {
  data[at++] = value >>> 24;
  data[at++] = value >>> 16;
  data[at++] = value >>> 8;
  data[at++] = value;
}

function text(value: string): void {
  const start = at;
  head(0x60, value.length);
  reserve(value.length);
  const out = data;
  const first = at;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if (code >= 0x80) {
      at = start;
      textBeyondAscii(value);
      return;
    }
    out[first + i] = code;
  }
  at += value.length;
}

function textBeyondAscii(value: string): void {
  if (!value.isWellFormed()) throw forbidden('expected well-formed Unicode text, got a lone surrogate');
  const bytes = utf8(value);
  head(0x60, bytes.length);
  append(bytes);
}

function append(bytes: Uint8Array): void {
  reserve(bytes.length);
  data.set(bytes, at);
  at += bytes.length;
}

/** A map's field names in DAG-CBOR's order: shorter first, then by byte. */
function sorted(fields: string[]): string[] {
  // All our names are ASCII, where a letter is a byte. An index loop, because this runs for every map.
  for (const field of fields) {
    for (let i = 0; i < field.length; i++) {
      if (field.charCodeAt(i) >= 0x80) return fields.sort(byBytes);
    }
  }
  // What was decoded has its fields in order.
  for (let i = 1; i < fields.length; i++) if (byLetters(fields[i - 1], fields[i]) > 0) return fields.sort(byLetters);
  return fields;
}

const byLetters = (a: string, b: string): number => a.length - b.length || (a < b ? -1 : 1);

function byBytes(a: string, b: string): number {
  const [left, right] = [utf8(a), utf8(b)];
  if (left.length !== right.length) return left.length - right.length;
  let i = 0;
  while (i < left.length - 1 && left[i] === right[i]) i++;
  return left[i] - right[i];
}

function map(value: Readonly<Record<string, EventValue>>, depth: number): void {
  const fields = sorted(Object.keys(value));
  head(0xa0, fields.length);
  for (const field of fields) {
    if (field === '__proto__') throw forbidden('a field may not be named "__proto__"');
    text(field);
    write(value[field], depth + 1);
  }
}

function write(value: EventValue, depth: number): void {
  if (depth > MAX_DEPTH) throw new ProtocolError('malformed', `nested deeper than ${MAX_DEPTH}`);
  if (typeof value === 'string') {
    text(value);
  } else if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw forbidden(`expected an integer within ±(2^53 - 1), got ${value}`);
    if (value < 0) head(0x20, -1 - value);
    else head(0x00, value);
  } else if (value === null || typeof value === 'boolean') {
    reserve(1);
    data[at++] = value === null ? 0xf6 : value ? 0xf5 : 0xf4;
  } else if (value instanceof Uint8Array) {
    head(0x40, value.length);
    append(value);
  } else if (Array.isArray(value)) {
    head(0x80, value.length);
    // An index loop, because forEach would skip holes, which must be refused.
    for (let i = 0; i < value.length; i++) write(value[i], depth + 1);
  } else if (isPlainObject(value)) {
    map(value, depth);
  } else {
    throw forbidden(`expected an integer, text, bytes, a list, a map, a truth value or null, got ${kindOf(value)}`);
  }
}

/** Whether a value is a map of plain data. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, EventValue>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function kindOf(value: unknown): string {
  return typeof value === 'object' ? `an instance of ${value?.constructor?.name ?? 'an unknown class'}` : typeof value;
}

function forbidden(what: string): ProtocolError {
  return new ProtocolError('forbidden-value', `signed events hold no such value: ${what}`);
}
