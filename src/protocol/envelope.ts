// A signed event: deterministic DAG-CBOR [1, author, body, signature]. Each event has exactly one encoding.
import { verifyMany } from './ed25519-many.ts';
import { ProtocolError } from './errors.ts';
import { sha256Hex, utf8 } from './hash.ts';
import { type Identity, idOfPublicKey, publicKeyOf, verifyWithKey } from './identity.ts';
import { decodeStrict, type EventValue } from './strict-cbor.ts';
import { encodeStrict, isPlainObject } from './strict-cbor-encode.ts';

export type { EventValue };

/** The body of an event: a type, the version of that type's schema, and its fields. */
export interface EventBody {
  readonly type: string;
  readonly version: number;
  readonly [field: string]: EventValue;
}

/** A decoded event. Its encoding has been checked, and its signature unless that was skipped; its body is not yet checked against a schema. */
export interface OpenedEvent {
  /** The event's id: SHA-256 of its bytes, hexadecimal. */
  readonly id: string;
  /** The peer id of the signer. */
  readonly author: string;
  readonly body: EventBody;
}

/** C2SP tlog-tiles serves entries with a 16-bit length before each. */
export const MAX_EVENT_BYTES = 65_535;

const ENVELOPE_VERSION = 1;
/** A C2SP signed note cannot contain a NUL byte, so a signature of an event is never also one of a checkpoint. */
const SIGNING_PREFIX = utf8('potluck-event-v1\0');

// The envelope around the body has a fixed form (RFC 8949, section 3), so it is written and read byte by byte.
const ARRAY_OF_4 = 0x84;
const BYTES_LENGTH_8 = 0x58;
const BYTES_LENGTH_16 = 0x59;
/** [1, h'32 bytes', h'...']: 0x84 0x01 0x58 0x20 and the author. */
const BODY_HEADER_OFFSET = 4 + 32;
const SIGNATURE_PART_BYTES = 2 + 64;

/**
 * Signs a body and returns the event's bytes.
 * Throws ProtocolError: `malformed` (no type or version), `forbidden-value` (a fraction, undefined, a class instance, ...), `too-large`.
 */
export async function signEvent(identity: Identity, body: EventBody): Promise<Uint8Array> {
  const encoded = encodeBody(body);
  const signature = await identity.sign(signedMessage(encoded));
  const header = byteStringHeader(encoded.length);
  const event = new Uint8Array(BODY_HEADER_OFFSET + header.length + encoded.length + SIGNATURE_PART_BYTES);
  if (event.length > MAX_EVENT_BYTES) throw tooLarge(event.length);
  event.set([ARRAY_OF_4, ENVELOPE_VERSION, BYTES_LENGTH_8, 32]);
  event.set(publicKeyOf(identity.id), 4);
  event.set(header, BODY_HEADER_OFFSET);
  event.set(encoded, BODY_HEADER_OFFSET + header.length);
  event.set([BYTES_LENGTH_8, 64], event.length - SIGNATURE_PART_BYTES);
  event.set(signature, event.length - 64);
  return event;
}

/**
 * Opens an event: checks its size, form, canonical encoding and signature.
 * @param options.verify_signature false only for a log that this process has already audited. Everything else is still checked.
 * Throws ProtocolError and nothing else: `too-large`, `malformed`, `unknown-version`, `not-canonical`, `forbidden-value`, `bad-signature`.
 */
export function openEvent(bytes: Uint8Array, options: { readonly verify_signature?: boolean } = {}): OpenedEvent {
  if (bytes.length > MAX_EVENT_BYTES) throw tooLarge(bytes.length);
  const { author, encodedBody, signature } = splitEnvelope(bytes);
  const body = decodeBody(encodedBody);
  if (options.verify_signature !== false && !verifyWithKey(author, signedMessage(encodedBody), signature)) {
    throw new ProtocolError('bad-signature', `the signature is not one by ${idOfPublicKey(author)} over this body`, {
      author: idOfPublicKey(author),
    });
  }
  return { id: eventId(bytes), author: idOfPublicKey(author), body };
}

/**
 * Whether each event carries its author's signature. This is the costly part of openEvent, for a caller that opens many events. It says
 * nothing about the bodies, which must be opened as well. False for bytes that are not an event; never rejects.
 */
export async function areSignedByAuthor(events: readonly Uint8Array[]): Promise<boolean[]> {
  const answers = new Array<boolean>(events.length).fill(false);
  const split = events.flatMap((bytes, i) => {
    try {
      const { author, encodedBody, signature } = splitEnvelope(bytes);
      return [{ i, publicKey: author, message: signedMessage(encodedBody), signature }];
    } catch (error) {
      if (error instanceof ProtocolError) return [];
      throw error;
    }
  });
  const verified = await verifyMany(split);
  split.forEach(({ i }, at) => {
    answers[i] = verified[at];
  });
  return answers;
}

/** The id of an event: SHA-256 of its bytes, hexadecimal. */
export function eventId(bytes: Uint8Array): string {
  return sha256Hex(bytes);
}

function signedMessage(encodedBody: Uint8Array): Uint8Array {
  const message = new Uint8Array(SIGNING_PREFIX.length + encodedBody.length);
  message.set(SIGNING_PREFIX);
  message.set(encodedBody, SIGNING_PREFIX.length);
  return message;
}

function byteStringHeader(length: number): Uint8Array {
  if (length < 24) return Uint8Array.of(0x40 | length);
  if (length < 0x100) return Uint8Array.of(BYTES_LENGTH_8, length);
  return Uint8Array.of(BYTES_LENGTH_16, length >> 8, length & 0xff);
}

function splitEnvelope(bytes: Uint8Array): { author: Uint8Array; encodedBody: Uint8Array; signature: Uint8Array } {
  if (bytes.length < BODY_HEADER_OFFSET + 1 + SIGNATURE_PART_BYTES) {
    const least = BODY_HEADER_OFFSET + 1 + SIGNATURE_PART_BYTES;
    throw malformed(bytes, `expected at least ${least} bytes, got ${bytes.length}`);
  }
  if (bytes[0] !== ARRAY_OF_4) throw malformed(bytes, `expected a CBOR array of 4, got first byte ${bytes[0]}`);
  if (bytes[1] !== ENVELOPE_VERSION) {
    // A byte in 0..23 is another version, encoded in CBOR; any other byte is not a version.
    if (bytes[1] > 23) throw malformed(bytes, `expected a version, got byte ${bytes[1]}`);
    throw new ProtocolError('unknown-version', `event envelope: expected version ${ENVELOPE_VERSION}, got ${bytes[1]}`);
  }
  if (bytes[2] !== BYTES_LENGTH_8 || bytes[3] !== 32) throw malformed(bytes, 'expected an author of 32 bytes');
  const bodyEnd = bytes.length - SIGNATURE_PART_BYTES;
  if (bytes[bodyEnd] !== BYTES_LENGTH_8 || bytes[bodyEnd + 1] !== 64)
    throw malformed(bytes, 'expected a signature of 64 bytes');
  const bodyStart = startOfBody(bytes, bodyEnd);
  if (bodyStart === null) throw malformed(bytes, 'the length of the body does not fit the length of the event');
  return {
    author: bytes.subarray(4, BODY_HEADER_OFFSET),
    encodedBody: bytes.subarray(bodyStart, bodyEnd),
    signature: bytes.subarray(bodyEnd + 2),
  };
}

/** The whole has one length, so the header of the body has one right form; null where it has another. */
function startOfBody(bytes: Uint8Array, bodyEnd: number): number | null {
  const first = bytes[BODY_HEADER_OFFSET];
  const size = first === BYTES_LENGTH_16 ? 3 : first === BYTES_LENGTH_8 ? 2 : 1;
  const start = BODY_HEADER_OFFSET + size;
  const length = bodyEnd - start;
  // As byteStringHeader writes it, which would cost an array for each event.
  if (size === 1) return length < 24 && first === (0x40 | length) ? start : null;
  if (size === 2) return length >= 24 && length < 0x100 && bytes[start - 1] === length ? start : null;
  return length >= 0x100 && bytes[start - 2] * 0x100 + bytes[start - 1] === length ? start : null;
}

function malformed(bytes: Uint8Array, what: string): ProtocolError {
  return new ProtocolError('malformed', `event: ${what}`, { size_bytes: bytes.length });
}

/** A body as deterministic DAG-CBOR. Throws ProtocolError as signEvent does. */
export function encodeBody(body: EventBody): Uint8Array {
  checkHead(body);
  return encodeStrict(body);
}

function decodeBody(encoded: Uint8Array): EventBody {
  const body = decodeStrict(encoded);
  checkHead(body);
  return body;
}

/** The two fields of every body: its type, and the version of that type's schema. */
function checkHead(body: unknown): asserts body is EventBody {
  if (!isPlainObject(body) || typeof body.type !== 'string' || body.type === '') {
    throw new ProtocolError('malformed', 'event body: expected a map with a non-empty text "type"');
  }
  if (typeof body.version !== 'number' || body.version < 1) {
    const type = JSON.stringify(body.type.slice(0, 80));
    throw new ProtocolError('malformed', `event body ${type}: expected an integer "version" of 1 or more`);
  }
}

function tooLarge(size: number): ProtocolError {
  return new ProtocolError('too-large', `an event has at most ${MAX_EVENT_BYTES} bytes, got ${size}`, {
    size_bytes: size,
    limit_bytes: MAX_EVENT_BYTES,
  });
}
