// What two processes of a hub say to each other about frames between their devices.
//
// A lane is what one connection sends to one key at another process, from its first frame until something of it is lost. The process of the sender
// draws its number, which never comes again: so no late word is about another lane.
import { z } from 'zod';
import { RELAY_LIMITS } from '../../protocol/relay-messages.ts';
import { count, hash } from '../../protocol/schemas.ts';
import { putHead, takeHead } from './headed-bytes.ts';

const lane = { front: z.string().max(100), lane: count };

const FarMessages = z.discriminatedUnion('type', [
  /** To the process of the receiver, before a frame: of its lane, the number of the first one. */
  z.strictObject({ type: z.literal('frame'), ...lane, run: hash, from: hash, to: hash, first: count, number: count }),
  /** What became of the frames up to this one? */
  z.strictObject({ type: z.literal('check'), ...lane, number: count }),
  /** Nothing more comes on this lane. */
  z.strictObject({ type: z.literal('end'), ...lane }),
  /** To the process of the sender: the last frame that was taken, and whether it was opened; or that something is lost, and the lane has ended. */
  z.strictObject({
    ...{ type: z.literal('word'), ...lane },
    ...{ taken: count, opened: z.boolean(), lost: z.string().max(60).nullable() },
  }),
]);
type Said = z.infer<typeof FarMessages>;
/** A frame as its sender has sealed it. */
export type FarFrame = Extract<Said, { type: 'frame' }> & { readonly sealed: Uint8Array };
export type FarMessage = Exclude<Said, { type: 'frame' }> | FarFrame;
export type FarWord = Extract<Said, { type: 'word' }>;

/** What is said as a head, then the frame as it is, which is never looked at. */
export function encodeFar(message: FarMessage): Uint8Array {
  const { sealed, ...said } = message.type === 'frame' ? message : { ...message, sealed: null };
  return putHead(said, sealed);
}

/** Throws ProtocolError `malformed`, `too-large`. */
export function decodeFar(bytes: Uint8Array): FarMessage {
  const most_bytes = ({ type }: Said): number => (type === 'frame' ? RELAY_LIMITS.sealed_bytes : 0);
  const { head, rest } = takeHead<Said>(bytes, FarMessages, most_bytes);
  return head.type === 'frame' ? { ...head, sealed: rest } : head;
}

/** Of both sides, each with its reason. */
export const FAR_LIMITS = {
  check_ms: 1000, // after so long without a word about frames under way the other process is asked: a message was lost, or the receiver is slow
  silence_ms: 4000, // without any word they are lost: longer than it takes to see that a process is gone, shorter than a device waits
  idle_ms: 60_000, // a lane on which nothing is under way is kept for so long
  forget_ms: 150_000, // the receiver's side keeps one that nobody has ended: more than twice as long
  queued_bytes: 24 << 20, // that wait for the bus: windows of 25 devices; a quarter of what it takes is left for the log
} as const;
