// The messages that a peer gets from a hub. A file of its own, so that a page, which only observes, is without what peers alone get.
import { z } from 'zod';
import { decodeFrame } from './frames.ts';
import { HubMessages, RunViewSchema, WIRE_LIMITS } from './messages.ts';
import { RelayFromHub } from './relay-messages.ts';
import { bytes, count, hash } from './schemas.ts';
import { ServingFromHub } from './serving-messages.ts';

/** Limits of what a validator is told of a round's work, each with its reason. */
export const WORK_LIMITS = {
  entry_bytes: 64, // of the list: the id of a worker, and the hash of its work
  entries: 4096, // of one message: a quarter of what a message may have
  works: 1 << 16, // of a round: three times as many as a run has peers
} as const;

/** A submission as its judge sees it: of other judges' verdicts nothing, and its place in the round's list. */
const JudgedViewSchema = RunViewSchema.shape.submissions.element.extend({ place: count });
export type JudgedView = z.infer<typeof JudgedViewSchema>;

/**
 * For a validator, once the list of a round's work is closed: a piece of the list, in the order of the log, and of its own draw what has changed.
 * The first piece starts over; `run` follows when all is told.
 */
const WorkSchema = z.object({
  ...{ type: z.literal('work'), round: count, attempt: count, from: count },
  listed: bytes(WORK_LIMITS.entries * WORK_LIMITS.entry_bytes),
  drawn: z.array(JudgedViewSchema),
});
export type WorkPiece = z.infer<typeof WorkSchema>;

/** The receipts of events that came in one message: `proof` is a receipt's hashes, one after the other, all in the tree of one head. */
const ReceiptsSchema = z.object({
  ...{ type: z.literal('receipts'), checkpoint: z.string() },
  of: z.array(z.object({ event: hash, index: count, proof: bytes(64 * 32) })).max(WIRE_LIMITS.events),
});
export type Receipts = z.infer<typeof ReceiptsSchema>;

const FromHubSchema = z.discriminatedUnion('type', [
  ...HubMessages,
  /** Without submissions: of these, `work` tells validators before. */
  z.object({ type: z.literal('run'), view: RunViewSchema }),
  WorkSchema,
  /** `receipt` proves that the event is in the log; ledger/receipt.ts checks it. */
  z.object({ type: z.literal('accepted'), event: hash, receipt: z.unknown() }),
  ReceiptsSchema,
  ...ServingFromHub,
  ...RelayFromHub,
]);
export type FromHub = z.infer<typeof FromHubSchema>;

/** Decodes a hub's message. Throws ProtocolError: `too-large`, `malformed`. */
export function decodeFromHub(frame: Uint8Array): FromHub {
  return decodeFrame(frame, FromHubSchema, WIRE_LIMITS.message_bytes, Number.POSITIVE_INFINITY);
}
