// The messages that a hub gets. A file of its own, so that a page, which only hears a hub, is without their schemas.
import { z } from 'zod';
import { decodeFrame } from './frames.ts';
import { ObstacleSchema, ProgressSchema, SampleSchema, WIRE_LIMITS } from './messages.ts';
import { RelayFromPeer } from './relay-messages.ts';
import { bytes, hash } from './schemas.ts';
import { ServingFromPeer } from './serving-from-peer.ts';

// A peer's messages are parsed strictly: a field that this version does not know is refused, not ignored.

/** From a peer or an observer (who needs no key). `signature` covers the hub's nonce. */
export const HelloSchema = z.strictObject({
  type: z.literal('hello'),
  protocol: z.int(),
  role: z.enum(['worker', 'validator', 'observer']),
  run: hash.optional(),
  peer: hash.optional(),
  signature: bytes(64).optional(),
  /** The observer wants `changes` instead of a whole `status` every time. */
  changes: z.boolean().optional(),
  /** From a peer that was told `key-in-use`: it takes over only if no other device with its key has the place. */
  yields: z.boolean().optional(),
  /** A validator that is told of this worker's submission as well, whoever judges it: an owner's that has planted work. */
  watches: hash.optional(),
});

const SENT = {
  event: bytes(WIRE_LIMITS.event_bytes),
  /** A small blob of this peer that the hub is to keep before it takes the event: as if it had been uploaded. */
  enclosed: bytes(WIRE_LIMITS.enclosed_bytes).optional(),
};
/** An event on its way to the hub, and what goes with it. */
export interface Sent {
  readonly event: Uint8Array;
  readonly enclosed?: Uint8Array | undefined;
}

export const FromPeerSchema = z.discriminatedUnion('type', [
  HelloSchema,
  z.strictObject({ type: z.literal('event'), ...SENT }),
  /** Taken in their order, and answered together: with `receipts` for those that were taken, and a refusal for each other. */
  z.strictObject({ type: z.literal('events'), events: z.array(z.strictObject(SENT)).min(1).max(WIRE_LIMITS.events) }),
  z.strictObject({ ...ProgressSchema.shape, obstacle: z.strictObject(ObstacleSchema.shape).optional() }),
  SampleSchema,
  /** Asks whether the hub is alive. For browsers, which do not see the WebSocket's own pings. */
  z.strictObject({ type: z.literal('ping') }),
  ...ServingFromPeer,
  ...RelayFromPeer,
]);
export type FromPeer = z.infer<typeof FromPeerSchema>;

/** Decodes a peer's message. Throws ProtocolError: `too-large`, `malformed`. */
export function decodeFromPeer(frame: Uint8Array): FromPeer {
  return decodeFrame(frame, FromPeerSchema, WIRE_LIMITS.from_peer_bytes, WIRE_LIMITS.from_peer_fields);
}
