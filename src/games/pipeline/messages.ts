// What devices of a pipeline say to each other: micro-batches on their way, signed by who hands them on, and words about the round.

import { bytesToHex } from '@noble/hashes/utils.js';
import { z } from 'zod';
import { ModelError } from '../../model/errors.ts';
import { sha256 } from '../../protocol/hash.ts';
import { count, hash } from '../../protocol/schemas.ts';
import { decodeStrict, type EventValue } from '../../protocol/strict-cbor.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import { tokenBytes } from '../../training/shards.ts';
import { GameError } from '../errors.ts';
import type { MicroBatch } from './work.ts';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const SIGNATURE_BYTES = 64;
const signature = bytes.refine(({ length }) => length === SIGNATURE_BYTES);
/** What a judge asks for at once, at most: so the answers are no burden to who does other work. */
export const MOST_ASKED = 32;
/** Of a state that is shown to a judge, in one message. */
export const SLICE_BYTES = 4 << 20;
/** Rounds are told apart by their seed, which follows from the log. */
const seed = hash;

const HandedSchema = z.strictObject({
  /** `activations` go to the next stage, `gradient` to the one before. */
  kind: z.enum(['activations', 'gradient']),
  seed,
  origin: hash,
  number: count,
  payload: bytes,
  signature,
});
/** A micro-batch that is handed on. */
export type HandedOn = z.infer<typeof HandedSchema>;

/** By what a judge knows it: who handed on which micro-batch, and where it is known, to whom and what. */
const WantedSchema = z.strictObject({
  ...{ kind: z.enum(['activations', 'gradient']), by: hash, origin: hash, number: count },
  ...{ to: hash.optional(), hash: hash.optional() },
});
export type Wanted = z.infer<typeof WantedSchema>;

export const PipelineMessageSchema = z.discriminatedUnion('kind', [
  HandedSchema.extend({ kind: z.literal('activations') }),
  HandedSchema.extend({ kind: z.literal('gradient') }),
  /** This device has begun the round: who has finished it already says so. */
  z.strictObject({ kind: z.literal('here'), seed }),
  /** It takes no more micro-batches of this round; one of the first stage leaves so many of its part to the others. */
  z.strictObject({ kind: z.literal('finished'), seed, unmade: count.optional() }),
  /** A judge asks what was handed on in a finished round; `payloads`: whole, otherwise as hash and signature. */
  z.strictObject({
    ...{ kind: z.literal('show'), seed, ask: count, payloads: z.boolean() },
    wanted: z.array(WantedSchema).max(MOST_ASKED),
  }),
  /** What was handed on, as it was signed, by its place in the question; missing: this device does not have it. */
  z.strictObject({
    ...{ kind: z.literal('shown'), seed, ask: count, at: count.max(MOST_ASKED - 1) },
    was: z.strictObject({ hash, signature, payload: bytes.optional() }).optional(),
  }),
  /** A judge asks for the state that the device began a round with: for a slice of its manifest (null) or of a part. */
  z.strictObject({ kind: z.literal('show-carried'), seed, ask: count, part: count.nullable(), slice: count }),
  /** The slice and the size of the whole; missing: this device does not have it. */
  z.strictObject({
    ...{ kind: z.literal('shown-carried'), seed, ask: count },
    was: z.strictObject({ slice: bytes, size_bytes: count }).optional(),
  }),
]);
export type PipelineMessage = z.infer<typeof PipelineMessageSchema>;

export const encodeMessage = (message: PipelineMessage): Uint8Array =>
  encodeStrict(message as unknown as Record<string, EventValue>);

/** Throws GameError `bad-message`, and what decodeStrict throws. */
export function decodeMessage(encoded: Uint8Array): PipelineMessage {
  const read = PipelineMessageSchema.safeParse(decodeStrict(encoded));
  if (read.success) return read.data;
  const [{ path, message }] = read.error.issues;
  throw new GameError('bad-message', `a message of another device: ${path.join('.')}: ${message}`);
}

/** What a device signs when it hands a micro-batch on: the stage is its own, and nobody but `to` can say that it was meant. */
export const handedStatement = (
  kind: HandedOn['kind'],
  seed: string,
  stage: number,
  to: string,
  { origin, number }: MicroBatch,
  payload_hash: string,
): Uint8Array => encodeStrict(['pipeline', kind, seed, stage, to, origin, number, payload_hash]);

export const hashOfPayload = (payload: Uint8Array): string => bytesToHex(sha256(payload));

/** The tokens of a micro-batch with the one after each sequence: rows of context + 1. */
export interface Windows {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

export interface PayloadShape {
  readonly batch: number;
  readonly context: number;
  readonly vocab_size: number;
}

/** What a micro-batch's tokens take, before its activations. */
export const windowBytes = ({ batch, context, vocab_size }: PayloadShape): number =>
  batch * (context + 1) * tokenBytes(vocab_size);

/** What goes to the next stage: each sequence's tokens, in as many bytes each as the vocabulary needs, little-endian; then the activations. */
export function encodeForward(shape: PayloadShape, { tokens, targets }: Windows, activations: Uint8Array): Uint8Array {
  const { batch, context, vocab_size } = shape;
  const width = tokenBytes(vocab_size);
  const size_bytes = windowBytes(shape);
  const payload = new Uint8Array(size_bytes + activations.length);
  const view = new DataView(payload.buffer);
  let at = 0;
  const put = (token: number): void => {
    if (width === 1) view.setUint8(at, token);
    else if (width === 2) view.setUint16(at, token, true);
    else view.setUint32(at, token, true);
    at += width;
  };
  for (let row = 0; row < batch; row++) {
    for (let i = 0; i < context; i++) put(tokens[row * context + i]);
    put(targets[(row + 1) * context - 1]);
  }
  payload.set(activations, size_bytes);
  return payload;
}

/** Reads what encodeForward wrote. Throws ModelError `bad-activations` for a payload that is too short, or a token outside the vocabulary. */
export function decodeForward(
  shape: PayloadShape,
  payload: Uint8Array,
): Windows & { readonly activations: Uint8Array } {
  const { batch, context, vocab_size } = shape;
  const width = tokenBytes(vocab_size);
  const size_bytes = windowBytes(shape);
  if (payload.length < size_bytes) {
    throw new ModelError(
      'bad-activations',
      `a micro-batch: expected at least ${size_bytes} bytes of tokens, got ${payload.length}`,
    );
  }
  const view = new DataView(payload.buffer, payload.byteOffset);
  const tokenAt = (at: number): number => {
    if (width === 1) return view.getUint8(at);
    return width === 2 ? view.getUint16(at * 2, true) : view.getUint32(at * 4, true);
  };
  const tokens = new Int32Array(batch * context);
  const targets = new Int32Array(batch * context);
  for (let row = 0; row < batch; row++) {
    for (let i = 0; i <= context; i++) {
      const token = tokenAt(row * (context + 1) + i);
      if (token >= vocab_size) {
        throw new ModelError('bad-activations', `a micro-batch: expected tokens below ${vocab_size}, got ${token}`);
      }
      if (i < context) tokens[row * context + i] = token;
      if (i > 0) targets[row * context + i - 1] = token;
    }
  }
  return { tokens, targets, activations: payload.subarray(size_bytes) };
}
