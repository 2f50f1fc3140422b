// A receipt is a hub's answer to an accepted event. If the hub leaves the event out of the log later, the receipt proves it to anybody.
import { z } from 'zod';
import { eventId } from '../protocol/envelope.ts';
import { count, hash } from '../protocol/schemas.ts';
import { openCheckpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { HASH_BYTES, leafHash, MAX_PROOF_HASHES, verifyInclusion } from './merkle.ts';
import { fromBase64, MAX_NOTE_BYTES, toBase64 } from './signed-note.ts';

/** Plain JSON. `checkpoint` is a signed note (checkpoint.ts); `inclusion_proof` the hashes from the leaf up, in base64. */
const receiptSchema = z.strictObject({
  format: z.literal('potluck-receipt-v1'),
  event_id: hash,
  index: count,
  checkpoint: z.string().max(MAX_NOTE_BYTES),
  inclusion_proof: z.array(z.string().length(44)).max(MAX_PROOF_HASHES),
});

export type Receipt = z.infer<typeof receiptSchema>;

/** What a verified receipt shows. */
export interface VerifiedReceipt {
  readonly origin: string;
  readonly index: number;
  /** The size and root of a tree, signed by the hub, that contains the event. */
  readonly size: number;
  readonly root: Uint8Array;
}

/** Assembles a receipt from its parts. */
export function makeReceipt(parts: {
  readonly entry: Uint8Array;
  readonly index: number;
  readonly note: string;
  readonly proof: readonly Uint8Array[];
}): Receipt {
  return {
    format: 'potluck-receipt-v1',
    event_id: eventId(parts.entry),
    index: parts.index,
    checkpoint: parts.note,
    inclusion_proof: parts.proof.map(toBase64),
  };
}

/** As above, where the hashes of the proof come one after the other. Throws LedgerError `malformed` where they are no hashes. */
export function receiptOf(
  entry: Uint8Array,
  { index, note, proof }: { readonly index: number; readonly note: string; readonly proof: Uint8Array },
): Receipt {
  if (proof.length % HASH_BYTES !== 0) throw new LedgerError('malformed', 'receipt: expected a proof of whole hashes');
  const hashes = Array.from({ length: proof.length / HASH_BYTES }, (_, i) =>
    proof.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );
  return makeReceipt({ entry, index, note, proof: hashes });
}

/**
 * Checks a receipt with nothing but the event and the hub's id: the hub has signed its checkpoint, which contains the event at its index.
 * @param receipt anything; what is not a receipt is refused
 * @param hub the hub's peer id, and its log's origin where that is known
 * Throws LedgerError `malformed`, `bad-signature`, `bad-proof`.
 */
export function verifyReceipt(
  receipt: unknown,
  eventBytes: Uint8Array,
  hub: string | { readonly id: string; readonly origin?: string },
): VerifiedReceipt {
  const parsed = receiptSchema.safeParse(receipt);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new LedgerError('malformed', `receipt: ${issue.path.join('.') || 'the whole'}: ${issue.message}`);
  }
  const { event_id, index, checkpoint, inclusion_proof } = parsed.data;
  const proof = inclusion_proof.map(fromBase64);
  if (!proof.every((hash) => hash !== null))
    throw new LedgerError('malformed', 'receipt: a hash of the proof is not base64');
  const actual = eventId(eventBytes);
  if (event_id !== actual) {
    throw new LedgerError('bad-proof', `the receipt is for event ${event_id}, not for ${actual}`, { event_id, actual });
  }
  const { origin, size, root } = openCheckpoint(checkpoint, typeof hub === 'string' ? { id: hub } : hub);
  if (!verifyInclusion(leafHash(eventBytes), index, size, proof, root)) {
    throw new LedgerError('bad-proof', `the receipt does not show event ${event_id} at index ${index} of ${size}`, {
      index,
      size,
    });
  }
  return { origin, index, size, root };
}
