// What a front end and a gateway at another process say to each other about devices that serve; what devices and pools say is passed on as it is.
import { z } from 'zod';
import { WIRE_LIMITS } from '../../protocol/messages.ts';
import { hash } from '../../protocol/schemas.ts';
import { lease, type ToServingPeer } from '../../protocol/serving-messages.ts';
import { type ModelKey, modelKey } from '../serving/devices.ts';
import { putHead, takeHead } from './headed-bytes.ts';

/** The number that a front end has given a device's connection. */
const connection = z.string().max(40);

/** What a pool's word means for the front end that passes it on. */
const AboutSchema = z.strictObject({
  /** The lease that begins with it; null: none does. */
  begins: lease.nullable(),
  /** The model of a request that a device counts and that takes one of its places; null: it is none. */
  asks: z.string().max(200).nullable(),
});
export type About = z.infer<typeof AboutSchema>;

const FromFrontSchema = z.discriminatedUnion('type', [
  /** Behind it: what a device says, as its connection would carry it. */
  z.strictObject({ type: z.literal('said'), connection, peer: hash }),
  z.strictObject({ type: z.literal('gone'), connection }),
]);
export type FromFront = z.infer<typeof FromFrontSchema>;

const FromGatewaySchema = z.discriminatedUnion('type', [
  /** Behind it: what a pool tells a device, as its connection carries it. */
  z.strictObject({ type: z.literal('tell'), connection, about: AboutSchema }),
  /** What the device said does not keep to the form of answers. */
  z.strictObject({ type: z.literal('refused'), connection, message: z.string().max(2000) }),
]);
export type FromGateway = z.infer<typeof FromGatewaySchema>;

export const encodeServing = (head: FromFront | FromGateway, frame: Uint8Array | null = null): Uint8Array =>
  putHead(head, frame);

/** Throws ProtocolError `malformed`, `too-large`. */
export const decodeFromFront = (bytes: Uint8Array) =>
  takeHead<FromFront>(bytes, FromFrontSchema, ({ type }) => (type === 'said' ? WIRE_LIMITS.from_peer_bytes : 0));

/** Throws ProtocolError `malformed`, `too-large`. */
export const decodeFromGateway = (bytes: Uint8Array) =>
  takeHead<FromGateway>(bytes, FromGatewaySchema, ({ type }) => (type === 'tell' ? WIRE_LIMITS.message_bytes : 0));

/** Requests for an answer and for vectors are counted by devices; a judge's are not. */
export function aboutOf(message: ToServingPeer): About {
  const begins = message.type === 'answer' || message.type === 'embed' || message.type === 'judge';
  const asks: ModelKey | null = begins && message.type !== 'judge' ? modelKey(message) : null;
  return { begins: begins ? message.lease : null, asks };
}
