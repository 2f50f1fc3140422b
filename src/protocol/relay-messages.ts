// The messages with which devices of a run talk to each other by way of the hub. It passes frames on that it cannot read (relay-seal.ts),
// keeps none of them, and bounds how many of them are under way.
import { z } from 'zod';
import { bytes, count, hash } from './schemas.ts';

/** Limits of what is relayed, each with its reason. */
export const RELAY_LIMITS = {
  sealed_bytes: 60_000, // of one frame: a peer's message stays below WIRE_LIMITS.from_peer_bytes
  window_frames: 16, // of one device to another that it has not taken yet: a megabyte, two round trips of 50 ms at 50 Mbit/s
  partners: 64, // devices that one sends to within a round
  queued_bytes: 4 << 20, // that wait for one device at the hub: half of what makes it a device that does not read
  message_bytes: 8 << 20, // of one message, in all its frames: the activations of 16,384 tokens at 128 values of 4 bytes
  incoming_bytes: 64 << 20, // of messages that are not whole or not read yet, of all senders together
  waiting_messages: 16, // for one device at the one that sends: who wants to send more finds another device
  open_ms: 10_000, // within which a device answers that it listens
} as const;

/** The first byte of a frame, which is not sealed: the beginning of a session and its answer, a part of a message, its last part. */
export const RELAY_FRAME = { hello: 1, reply: 2, more: 3, last: 4 } as const;

const sealed = bytes(RELAY_LIMITS.sealed_bytes);

/** From a device. `number` is one more with each frame to another device, from any number on: so no late word is about other frames. */
export const RelayFromPeer = [
  z.strictObject({ type: z.literal('relay'), to: hash, number: count, sealed }),
  /** It has done with the frames of another device up to this one. Not `opened`: some did not fit, and the session has to begin anew. */
  z.strictObject({ type: z.literal('relay-taken'), from: hash, number: count, opened: z.boolean() }),
] as const;
export type FromRelayingPeer = z.infer<(typeof RelayFromPeer)[number]>;

/** From the hub. */
export const RelayFromHub = [
  z.object({ type: z.literal('relay'), from: hash, number: count, sealed }),
  z.object({ type: z.literal('relay-taken'), by: hash, number: count, opened: z.boolean() }),
  /** Frames to a device were not passed on, or what was passed on is lost. */
  z.object({ type: z.literal('relay-lost'), to: hash, code: z.string().max(60) }),
] as const;
export type ToRelayingPeer = z.infer<(typeof RelayFromHub)[number]>;

/** Whether a peer's message is one for another device. */
export const isRelayed = (message: { readonly type: string }): message is FromRelayingPeer =>
  message.type === 'relay' || message.type === 'relay-taken';
