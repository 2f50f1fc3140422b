// C2SP checkpoints (c2sp.org/tlog-checkpoint), signed with Ed25519 by the log, and cosigned by witnesses (c2sp.org/tlog-cosignature, v1).
import { utf8 } from '../protocol/hash.ts';
import { type Identity, verifySignature } from '../protocol/identity.ts';
import { LedgerError } from './errors.ts';
import { HASH_BYTES } from './merkle.ts';
import {
  checkKeyName,
  fromBase64,
  NOTE_COSIGNATURE_V1,
  NOTE_ED25519,
  type NoteKey,
  noteKeyId,
  parseNote,
  type SignedNote,
  signatureLine,
  signaturesBy,
  toBase64,
} from './signed-note.ts';

/** The head of a log: the root of its tree at a size. */
export interface Checkpoint {
  /** The log's origin, which is also the name of the log's key. */
  readonly origin: string;
  readonly size: number;
  /** RFC 6962 root of the first `size` entries (32 bytes). */
  readonly root: Uint8Array;
}

const COSIGNATURE_HEADER = 'cosignature/v1';
const TIMESTAMP_BYTES = 8;

/** Signs a checkpoint as the log. Throws LedgerError `malformed` for an origin that cannot name a key, or an impossible size or root. */
export async function signCheckpoint(log: Identity, checkpoint: Checkpoint): Promise<string> {
  checkKeyName(checkpoint.origin);
  if (checkpoint.origin === COSIGNATURE_HEADER) {
    // The signed text would begin like a witness's cosignature.
    throw new LedgerError('malformed', `a log may not have the origin ${COSIGNATURE_HEADER}`);
  }
  const text = checkpointText(checkpoint);
  const key = { name: checkpoint.origin, id: log.id };
  const signature = await log.sign(utf8(text));
  return `${text}\n${signatureLine({ name: key.name, key_id: noteKeyId(key, NOTE_ED25519), signature })}`;
}

/**
 * Opens a checkpoint that a log has signed; other signatures are ignored. Without `origin`, the note's own origin is taken, which is
 * enough for a caller that knows the log by its key alone.
 * Throws LedgerError `malformed`, `bad-signature` (none by this key under this origin, or a false one).
 */
export function openCheckpoint(note: string, log: { readonly id: string; readonly origin?: string }): Checkpoint {
  const parsed = parseNote(note);
  const checkpoint = parseCheckpointText(parsed.text);
  const key = { name: log.origin ?? checkpoint.origin, id: log.id };
  if (checkpoint.origin !== key.name) {
    throw new LedgerError('bad-signature', `expected a checkpoint of ${key.name}, got one of ${checkpoint.origin}`);
  }
  requireSignatures(parsed.text, signaturesBy(parsed, key, NOTE_ED25519), key, (signature) => ({
    message: parsed.text,
    signature,
  }));
  return checkpoint;
}

/** The parts of a checkpoint that a log has signed; `assembleCheckpoint` makes the same note from them. */
export interface SignedParts {
  readonly size: number;
  readonly root: Uint8Array;
  readonly signature: Uint8Array;
}

/** Splits a checkpoint into its parts. Throws LedgerError `malformed`, `bad-signature`. */
export function takeApart(note: string, log: NoteKey): SignedParts {
  const { size, root } = openCheckpoint(note, { id: log.id, origin: log.name });
  const [{ signature }] = signaturesBy(parseNote(note), log, NOTE_ED25519);
  return { size, root, signature };
}

/** The note made of such parts. It verifies nothing; `openCheckpoint` does. Throws LedgerError `malformed`. */
export function assembleCheckpoint({ size, root, signature }: SignedParts, log: NoteKey): string {
  const text = checkpointText({ origin: log.name, size, root });
  return `${text}\n${signatureLine({ name: log.name, key_id: noteKeyId(log, NOTE_ED25519), signature })}`;
}

/**
 * Adds a witness's cosignature, which says: at `time_s` this is the largest consistent tree that the witness has seen. The caller has
 * opened the checkpoint and verified its consistency with the last one that the witness cosigned.
 * @param time_s seconds since 1970
 * @returns the note with one more signature line
 */
export async function cosignCheckpoint(witness: Identity, name: string, note: string, time_s: number): Promise<string> {
  const { text } = parseNote(note);
  parseCheckpointText(text);
  if (!Number.isSafeInteger(time_s) || time_s < 0) {
    throw new LedgerError('malformed', `expected the time in whole seconds, got ${time_s}`);
  }
  const signature = new Uint8Array(TIMESTAMP_BYTES + 64);
  new DataView(signature.buffer).setBigUint64(0, BigInt(time_s));
  signature.set(await witness.sign(utf8(cosignedMessage(text, BigInt(time_s)))), TIMESTAMP_BYTES);
  const key_id = noteKeyId({ name, id: witness.id }, NOTE_COSIGNATURE_V1);
  return note + signatureLine({ name, key_id, signature });
}

/**
 * The latest time at which a witness cosigned this checkpoint.
 * Throws LedgerError `malformed`, `bad-signature` (none by this key, or a false one).
 */
export function verifyCosignature(
  note: string | SignedNote,
  witness: NoteKey,
): { readonly checkpoint: Checkpoint; readonly time_s: number } {
  const parsed = typeof note === 'string' ? parseNote(note) : note;
  const checkpoint = parseCheckpointText(parsed.text);
  const found = signaturesBy(parsed, witness, NOTE_COSIGNATURE_V1);
  let latest = 0n;
  requireSignatures(parsed.text, found, witness, (timestamped) => {
    if (timestamped.length !== TIMESTAMP_BYTES + 64) return null;
    const time = new DataView(timestamped.buffer, timestamped.byteOffset).getBigUint64(0);
    if (time > latest) latest = time;
    return { message: cosignedMessage(parsed.text, time), signature: timestamped.subarray(TIMESTAMP_BYTES) };
  });
  if (latest > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new LedgerError('malformed', `cosignature: a time of ${latest} s is beyond what is sensible`);
  }
  return { checkpoint, time_s: Number(latest) };
}

function requireSignatures(
  text: string,
  found: readonly { readonly signature: Uint8Array }[],
  key: NoteKey,
  signedBy: (signature: Uint8Array) => { readonly message: string; readonly signature: Uint8Array } | null,
): void {
  const origin = text.slice(0, text.indexOf('\n'));
  if (found.length === 0)
    throw new LedgerError('bad-signature', `the checkpoint of ${origin} has no signature by ${key.name} (${key.id})`);
  for (const { signature } of found) {
    const signed = signedBy(signature);
    if (!signed || !verifySignature(key.id, utf8(signed.message), signed.signature)) {
      throw new LedgerError(
        'bad-signature',
        `the checkpoint of ${origin} has a false signature in the name of ${key.name}`,
      );
    }
  }
}

function cosignedMessage(text: string, time: bigint): string {
  return `${COSIGNATURE_HEADER}\ntime ${time}\n${text}`;
}

function checkpointText({ origin, size, root }: Checkpoint): string {
  if (!Number.isSafeInteger(size) || size < 0 || root.length !== HASH_BYTES) {
    throw new LedgerError(
      'malformed',
      `a checkpoint has a size and a root of ${HASH_BYTES} bytes, got ${size} and ${root.length}`,
    );
  }
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Parses the text of a checkpoint. Extension lines are allowed and covered by the signature; this code ignores them. */
function parseCheckpointText(text: string): Checkpoint {
  const [origin, size, root, ...rest] = text.split('\n');
  // The text ends with a newline, so the last piece is empty; no other line may be.
  const extensions = rest.slice(0, -1);
  const rootBytes = root === undefined ? null : fromBase64(root);
  const wellFormed = rest.at(-1) === '' && origin !== '' && extensions.every((line) => line !== '');
  if (
    !wellFormed ||
    !/^(0|[1-9]\d{0,15})$/.test(size) ||
    !Number.isSafeInteger(Number(size)) ||
    rootBytes?.length !== HASH_BYTES
  ) {
    throw new LedgerError(
      'malformed',
      'checkpoint: expected an origin, a size and a root of 32 bytes in base64, each on its line',
    );
  }
  return { origin, size: Number(size), root: rootBytes };
}
