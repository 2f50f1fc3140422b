// The messages that a peer gets from a hub. A file of its own, so that a page, which only observes, is without what peers alone get.
import { z } from 'zod';
import { decodeFrame } from './frames.ts';
import { HubMessages, RunViewSchema, WIRE_LIMITS } from './messages.ts';
import { RelayFromHub } from './relay-messages.ts';
import { hash } from './schemas.ts';
import { ServingFromHub } from './serving-messages.ts';

const FromHubSchema = z.discriminatedUnion('type', [
  ...HubMessages,
  z.object({ type: z.literal('run'), view: RunViewSchema }),
  /** `receipt` proves that the event is in the log; ledger/receipt.ts checks it. */
  z.object({ type: z.literal('accepted'), event: hash, receipt: z.unknown() }),
  ...ServingFromHub,
  ...RelayFromHub,
]);
export type FromHub = z.infer<typeof FromHubSchema>;

/** Decodes a hub's message. Throws ProtocolError: `too-large`, `malformed`. */
export function decodeFromHub(frame: Uint8Array): FromHub {
  return decodeFrame(frame, FromHubSchema, WIRE_LIMITS.message_bytes, Number.POSITIVE_INFINITY);
}
