// An event of a log with its proof: the bytes as their author signed them, and the inclusion proof up to the root that the hub has signed.
import { z } from 'zod';
import { decodeEvent } from '../core/codec.ts';
import type { LoggedEvent } from '../core/events.ts';
import { ProofSchema } from '../core/rounds/merged-list.ts';
import { openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf } from '../ledger/key-names.ts';
import { inclusionProof, leafHash, type NodeReader, verifyInclusion } from '../ledger/merkle.ts';
import {
  fromBase64,
  MAX_NOTE_BYTES,
  NOTE_ED25519,
  parseNote,
  signatureLine,
  signaturesBy,
  toBase64,
} from '../ledger/signed-note.ts';
import { MAX_EVENT_BYTES } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { OwnershipError } from './ownership-errors.ts';

export const NoteSchema = z.string().max(MAX_NOTE_BYTES);

/** Plain JSON; bytes in base64. */
export const ProvenEventSchema = z.strictObject({
  index: z.int().min(0),
  event: z.string().max(Math.ceil(MAX_EVENT_BYTES / 3) * 4),
  inclusion_proof: ProofSchema,
});
export type ProvenEvent = z.infer<typeof ProvenEventSchema>;

/** The head of a log that a hub has signed. */
export interface ProvenHead {
  readonly hub: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** An event with its proof for the tree of `size` entries. */
export function proveEvent(bytes: Uint8Array, index: number, size: number, node: NodeReader): ProvenEvent {
  return { index, event: toBase64(bytes), inclusion_proof: inclusionProof(index, size, node).map(toBase64) };
}

/** The checkpoint with the hub's signature only; the certificate proves no other signature. */
export function bareCheckpoint(note: string, hub: string): string {
  const parsed = parseNote(note);
  const [signature] = signaturesBy(parsed, { name: originOf(hub), id: hub }, NOTE_ED25519);
  if (!signature) throw new OwnershipError('bad-signature', `the checkpoint has no signature by the hub ${hub}`);
  return `${parsed.text}\n${signatureLine(signature)}`;
}

/** Opens a checkpoint of `hub` that carries its signature and no other. Throws OwnershipError `malformed`, `bad-signature`. */
export function openBareCheckpoint(note: string, hub: string): ProvenHead {
  try {
    const { size, root } = openCheckpoint(note, { id: hub, origin: originOf(hub) });
    if (note === bareCheckpoint(note, hub)) return { hub, size, root };
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw new OwnershipError(
      error.code === 'bad-signature' ? 'bad-signature' : 'malformed',
      `checkpoint: ${error.message}`,
    );
  }
  throw new OwnershipError('malformed', 'checkpoint: expected exactly one signature, that of the hub');
}

/**
 * Opens an event: checks its position in the tree that the hub has signed, its canonical encoding, and its author's signature.
 * Throws OwnershipError `malformed`, `bad-proof`, `bad-signature`.
 */
export function openProven(proven: ProvenEvent, head: ProvenHead): LoggedEvent {
  const { index } = proven;
  const bytes = fromBase64(proven.event);
  if (!bytes) throw new OwnershipError('malformed', `event ${index}: expected base64`, { index });
  const proof = openProof(proven.inclusion_proof, `event ${index}`);
  if (!verifyInclusion(leafHash(bytes), index, head.size, proof, head.root)) {
    throw new OwnershipError('bad-proof', `the proof does not show that event ${index} is in the log of ${head.size}`, {
      index,
      size: head.size,
    });
  }
  try {
    return decodeEvent(bytes);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const code = error.code === 'bad-signature' ? 'bad-signature' : 'malformed';
    throw new OwnershipError(code, `event ${index}: ${error.message}`, { index });
  }
}

/** The hashes of a proof. Throws OwnershipError `malformed`. */
export function openProof(proof: readonly string[], whose: string): Uint8Array[] {
  return proof.map((text) => {
    const hash = fromBase64(text);
    if (!hash) throw new OwnershipError('malformed', `${whose}: a hash of the proof is not base64`);
    return hash;
  });
}
