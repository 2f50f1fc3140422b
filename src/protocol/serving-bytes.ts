// Tokens and requests as bytes within the pool's messages. A file of its own, because pages hear nothing of them.
import { z } from 'zod';
import { ProtocolError } from './errors.ts';
import { decodeFrame, encodeFrame } from './frames.ts';
import { bytes, count } from './schemas.ts';
import { SERVE_LIMITS, tokenText } from './serving-messages.ts';

const TopSchema = z.tuple([
  count.max(SERVE_LIMITS.largest_id),
  bytes(SERVE_LIMITS.token_bytes),
  z.number().max(0.001), // above 0 only by rounding
]);
/** A token on the wire: id, text that is final with it, whether it is of the prompt, its logprob as [id, bytes, logprob], the likeliest. */
const RowSchema = z.tuple([
  count.max(SERVE_LIMITS.largest_id),
  tokenText,
  z.boolean(),
  TopSchema.nullable(),
  z.array(TopSchema).max(SERVE_LIMITS.top),
]);
export type TokenRow = z.infer<typeof RowSchema>;
const RowsSchema = z.array(RowSchema).min(1).max(SERVE_LIMITS.tokens);

/** How many tokens fit into one message, by the number of the likeliest ones that come with each. */
export function tokensOfMessage(top: number): number {
  const items = 6 + (top + 1) * 4;
  return Math.max(1, Math.min(SERVE_LIMITS.tokens, Math.floor((SERVE_LIMITS.packed_items - 1) / items)));
}

/** Tokens as the bytes of one message: packed, so that a peer's messages stay flat and small for everybody who reads them. */
export const packTokens = (rows: readonly TokenRow[]): Uint8Array => encodeFrame(rows);

/** The reverse. Throws ProtocolError: `too-large`, `malformed`. */
export const unpackTokens = (packed: Uint8Array): TokenRow[] =>
  decodeFrame(packed, RowsSchema, SERVE_LIMITS.packed_bytes, SERVE_LIMITS.packed_items);

/** What vectors are made of. */
export const EmbedInputsSchema = z
  .array(z.union([z.string(), z.array(count.max(SERVE_LIMITS.largest_id))]))
  .min(1)
  .max(SERVE_LIMITS.embed_inputs);
export type EmbedInputs = readonly (string | readonly number[])[];

/** Floats as bytes, the least significant first. */
export function packFloats(values: Float32Array): Uint8Array {
  const packed = new Uint8Array(values.length * 4);
  const view = new DataView(packed.buffer);
  for (const [i, value] of values.entries()) view.setFloat32(i * 4, value, true);
  return packed;
}

/** The reverse. Throws ProtocolError `malformed` for bytes that are no floats, or none that vectors have. */
export function unpackFloats(packed: Uint8Array): Float32Array {
  if (packed.length === 0 || packed.length % 4 !== 0) {
    throw new ProtocolError('malformed', `vectors: expected floats of 4 bytes, got ${packed.length} bytes`);
  }
  const view = new DataView(packed.buffer, packed.byteOffset, packed.length);
  const values = Float32Array.from({ length: packed.length / 4 }, (_, i) => view.getFloat32(i * 4, true));
  if (values.every(Number.isFinite)) return values;
  throw new ProtocolError('malformed', 'vectors: expected finite numbers');
}

/** A request as the bytes of a message: JSON, which may nest as deep as a schema for an answer does. Throws ProtocolError `too-large`. */
export function packRequest(request: object): Uint8Array {
  const packed = new TextEncoder().encode(JSON.stringify(request));
  if (packed.length <= SERVE_LIMITS.request_bytes) return packed;
  const most = SERVE_LIMITS.request_bytes;
  throw new ProtocolError('too-large', `request: the pool passes on at most ${most} bytes, got ${packed.length}`);
}

/** The reverse, by the schema of requests. Throws ProtocolError `malformed`. */
export function unpackRequest<T>(packed: Uint8Array, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(packed));
  } catch (error) {
    throw new ProtocolError('malformed', `request: cannot be read: ${(error as Error).message}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ProtocolError('malformed', `request: ${issue.path.join('.') || 'body'}: ${issue.message}`);
}
