// C2SP signed notes (c2sp.org/signed-note): a text, a blank line, and a line for each signature.
import { sha256, utf8 } from '../protocol/hash.ts';
import { publicKeyOf } from '../protocol/identity.ts';
import { LedgerError } from './errors.ts';

/** The signature types that Potluck writes and reads; lines of other types are ignored, as the specification demands. */
export const NOTE_ED25519 = 0x01;
export const NOTE_COSIGNATURE_V1 = 0x04;
export type NoteSignatureType = typeof NOTE_ED25519 | typeof NOTE_COSIGNATURE_V1;

/** A public key with its name. `id` is a peer id: the Ed25519 public key in hexadecimal. */
export interface NoteKey {
  readonly name: string;
  readonly id: string;
}

export interface NoteSignature {
  readonly name: string;
  /** Four bytes that help to find a key with this name; they prove nothing. */
  readonly key_id: Uint8Array;
  readonly signature: Uint8Array;
}

export interface SignedNote {
  /** The signed text, with its final newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** A checkpoint has some 200 bytes, each signature line about as many; post-quantum signatures of other parties may have 5,000. */
export const MAX_NOTE_BYTES = 131_072;
/** The specification asks for at least 16. */
const MAX_NOTE_SIGNATURES = 64;
const KEY_ID_BYTES = 4;

/** SHA-256(name || 0x0A || type || public key)[:4]. Throws LedgerError `malformed` for a bad name, ProtocolError `bad-id` for a bad id. */
export function noteKeyId(key: NoteKey, type: NoteSignatureType): Uint8Array {
  checkKeyName(key.name);
  return sha256(utf8(`${key.name}\n`), Uint8Array.of(type), publicKeyOf(key.id)).slice(0, KEY_ID_BYTES);
}

/** A verifier key, as other programs configure it: <name>+<key hash in hexadecimal>+<base64 of type and public key>. */
export function verifierKey(key: NoteKey, type: NoteSignatureType): string {
  const keyId = Array.from(noteKeyId(key, type), (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${key.name}+${keyId}+${toBase64(Uint8Array.from([type, ...publicKeyOf(key.id)]))}`;
}

/** Parses a verifier key. Throws LedgerError `malformed` for anything else, including a key hash that does not fit. */
export function parseVerifierKey(text: string): { readonly key: NoteKey; readonly type: NoteSignatureType } {
  const [, name, , encoded] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(text) ?? [];
  const bytes = encoded === undefined ? null : fromBase64(encoded);
  const type = bytes?.[0];
  if (bytes?.length === 33 && (type === NOTE_ED25519 || type === NOTE_COSIGNATURE_V1)) {
    const id = Array.from(bytes.subarray(1), (byte) => byte.toString(16).padStart(2, '0')).join('');
    const key = { name, id };
    if (verifierKey(key, type) === text) return { key, type };
  }
  throw malformed(
    'expected a verifier key: NAME+HASH+KEY of an Ed25519 key, the hash in hexadecimal, the key in base64',
  );
}

/** Throws LedgerError `malformed` unless a name is non-empty and without spaces, plus signs and control characters. */
export function checkKeyName(name: string): void {
  if (name === '' || !name.isWellFormed() || /[\p{White_Space}\p{Cc}+]/u.test(name)) {
    throw new LedgerError(
      'malformed',
      `a key's name has no spaces and no plus sign, got ${JSON.stringify(name).slice(0, 120)}`,
    );
  }
}

/** The line of one signature. */
export function signatureLine(signature: NoteSignature): string {
  return `\u2014 ${signature.name} ${toBase64(Uint8Array.from([...signature.key_id, ...signature.signature]))}\n`;
}

/** Parses a note. Do not believe anything in it before verifying a signature. Throws LedgerError `malformed`. */
export function parseNote(note: string): SignedNote {
  if (note.length > MAX_NOTE_BYTES) throw malformed(`expected at most ${MAX_NOTE_BYTES} bytes, got ${note.length}`);
  // Control characters other than the newline are forbidden.
  if (!note.isWellFormed() || /[^\P{Cc}\n\u007f-\u009f]/u.test(note))
    throw malformed('expected plain text, got control characters');
  if (!note.endsWith('\n')) throw malformed('expected a newline at the end');
  const blank = note.lastIndexOf('\n\n');
  if (blank < 0) throw malformed('expected a blank line before the signatures');
  const lines = note.slice(blank + 2, -1).split('\n');
  if (lines.length > MAX_NOTE_SIGNATURES)
    throw malformed(`expected at most ${MAX_NOTE_SIGNATURES} signatures, got ${lines.length}`);
  return { text: note.slice(0, blank + 1), signatures: lines.map(parseSignatureLine) };
}

/** The signatures of a note that claim to be made with a key: same name, same key hash. */
export function signaturesBy(note: SignedNote, key: NoteKey, type: NoteSignatureType): NoteSignature[] {
  const keyId = noteKeyId(key, type);
  return note.signatures.filter(
    ({ name, key_id }) => name === key.name && key_id.every((byte, i) => byte === keyId[i]),
  );
}

function parseSignatureLine(line: string): NoteSignature {
  const match = /^\u2014 ([^ ]+) ([^ ]+)$/.exec(line);
  if (!match) throw malformed('expected "\u2014 name signature" on each line after the blank one');
  checkKeyName(match[1]);
  const bytes = fromBase64(match[2]);
  if (bytes === null || bytes.length <= KEY_ID_BYTES) throw malformed('expected a signature in base64');
  return { name: match[1], key_id: bytes.slice(0, KEY_ID_BYTES), signature: bytes.slice(KEY_ID_BYTES) };
}

/** Standard base64 with padding (RFC 4648, section 4). */
export function toBase64(bytes: Uint8Array): string {
  // A hub writes a dozen hashes for each event, and in Node this takes less than half of the time.
  if (globalThis.Buffer) return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
  return btoa(String.fromCharCode(...bytes));
}

/** The bytes of canonical standard base64; null for any other text. */
export function fromBase64(text: string): Uint8Array | null {
  try {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    // atob also accepts white space, missing padding and stray bits, so the text is compared with its canonical encoding.
    return toBase64(bytes) === text ? bytes : null;
  } catch {
    return null;
  }
}

function malformed(what: string): LedgerError {
  return new LedgerError('malformed', `signed note: ${what}`);
}
