// An event of another hub's log, with its proof: the head that this hub has signed (c2sp.org/tlog-checkpoint) and the path up to it (RFC 6962, 2.1.3).
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { assembleCheckpoint, openCheckpoint } from '../../ledger/checkpoint.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { originOf } from '../../ledger/key-names.ts';
import { HASH_BYTES, leafHash, MAX_PROOF_HASHES, verifyInclusion } from '../../ledger/merkle.ts';
import { type OpenedEvent, openEvent } from '../../protocol/envelope.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { bytes, count, hash } from '../../protocol/schemas.ts';
import { SeenHeadSchema } from '../events/fields.ts';
import { type Refusal, refuse } from '../refusal.ts';

/** Longer events of others are not taken in: with proof and head one fits into an event here. */
const FOREIGN_EVENT_BYTES = 40_960;

const proofHash = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length === HASH_BYTES,
  `expected ${HASH_BYTES} bytes`,
);

/** The hashes of a proof, of inclusion or of consistency. */
export const ProofSchema = z.array(proofHash).max(MAX_PROOF_HASHES);

/** Where an event stands in a log, and the path from it to the log's head. */
export const PlacedEventSchema = z.strictObject({
  index: count,
  event: bytes(FOREIGN_EVENT_BYTES),
  inclusion_proof: ProofSchema,
});
export type PlacedEvent = z.infer<typeof PlacedEventSchema>;

export const ForeignEventSchema = z.strictObject({ hub: hash, head: SeenHeadSchema, ...PlacedEventSchema.shape });
export type ForeignEvent = z.infer<typeof ForeignEventSchema>;

/** The head of another hub's log. */
export type ForeignHead = Pick<ForeignEvent, 'hub' | 'head'>;

/** Why a head is not one that the hub has signed; null: it has. */
export function refusalOfHead({ hub, head }: ForeignHead): Refusal | null {
  const log = { name: originOf(hub), id: hub };
  const parts = { size: head.size, root: hexToBytes(head.root), signature: hexToBytes(head.signature) };
  try {
    openCheckpoint(assembleCheckpoint(parts, log), { id: hub, origin: log.name });
    return null;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return refuse('bad-proof', `the head of the log of ${hub}: ${error.message}`);
  }
}

/** Opens an event under a head that is known to be signed: its place, its encoding, its author's signature. */
export function openPlaced(
  { index, event, inclusion_proof }: PlacedEvent,
  head: { readonly size: number; readonly root: string },
): OpenedEvent | Refusal {
  if (!verifyInclusion(leafHash(event), index, head.size, inclusion_proof, hexToBytes(head.root))) {
    return refuse('bad-proof', `the proof does not show that the event is entry ${index} of a log of ${head.size}`);
  }
  return openForeignEvent(event);
}

/**
 * What was opened, by what it was opened from: the hub's check, the core's and the application ask for the same one after the other. Nothing changes
 * the body of an event once it is decoded, and what follows from it is the same every time.
 */
const opened = new WeakMap<ForeignEvent | Uint8Array, OpenedEvent | Refusal>();

function once<From extends ForeignEvent | Uint8Array>(from: From, open: (from: From) => OpenedEvent | Refusal) {
  const known = opened.get(from);
  if (known) return known;
  const made = open(from);
  opened.set(from, made);
  return made;
}

/** Opens bytes that somebody has signed. */
export const openForeignEvent = (event: Uint8Array): OpenedEvent | Refusal => once(event, openSigned);

function openSigned(event: Uint8Array): OpenedEvent | Refusal {
  try {
    return openEvent(event);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return refuse('bad-proof', `the event of another log: ${error.message}`);
  }
}

/** Opens an event of another log. Returns a Refusal `bad-proof` where its hub has not signed a head that contains it. */
export function openForeign(foreign: ForeignEvent): OpenedEvent | Refusal {
  return once(foreign, () => refusalOfHead(foreign) ?? openPlaced(foreign, foreign.head));
}

/** The form in which an event of another log is named here. `root` in bytes, as a tree gives it. */
export function foreignEvent(
  hub: string,
  head: { readonly size: number; readonly root: Uint8Array; readonly signature: Uint8Array },
  placed: PlacedEvent,
): ForeignEvent {
  const signed = { size: head.size, root: bytesToHex(head.root), signature: bytesToHex(head.signature) };
  return { hub, head: signed, ...placed };
}
