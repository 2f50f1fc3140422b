// The messages of the pool that serves: what a device offers, what the hub asks of it, and the tokens that come back.
import { Decoder, Encoder } from 'cbor-x';
import { z } from 'zod';
import { checkCborForm } from './cbor-form.ts';
import { ProtocolError } from './errors.ts';
import { count, hash, oneLine } from './schemas.ts';

/** Limits of what is served over the wire, each with its reason. */
export const SERVE_LIMITS = {
  request_bytes: 1_000_000, // fits in one message of the hub with its frame; about 250,000 tokens of text
  packed_bytes: 60_000, // a peer's message stays below WIRE_LIMITS.from_peer_bytes
  tokens: 64, // of one message: two seconds of a fast device
  packed_items: 4096, // 40 tokens with 20 likeliest each; decoded they take less than a megabyte
  token_text: 2000, // characters: a stop string that was held back, and a token of the longest kind
  token_bytes: 512, // the longest tokens in wide use have 128
  top: 20, // SERVING_LIMITS.top_logprobs
  largest_id: 1 << 24, // the largest vocabularies in wide use have 262,144 tokens
  call_name: 64, // OpenAI's own limit
  call_arguments: 16_000, // characters: a file that an agent writes; with four bytes each they fit in one message
  calls: 32, // of one answer
  places: 64, // answers that a device writes at the same time
  price: 1_000_000_000, // millionths of a credit for a million tokens: 1,000 credits
  nats: 1e9, // of a judge's sums: no answer comes near
} as const;

const lease = z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 hexadecimal digits');
const packed = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length <= SERVE_LIMITS.packed_bytes,
  `expected at most ${SERVE_LIMITS.packed_bytes} bytes`,
);
const text = z.string().max(SERVE_LIMITS.token_text);
const request = z.custom<Uint8Array>(
  (value) => value instanceof Uint8Array && value.length <= SERVE_LIMITS.request_bytes,
  `expected at most ${SERVE_LIMITS.request_bytes} bytes`,
);
const nats = z.number().nonnegative().max(SERVE_LIMITS.nats);
const price = count.max(SERVE_LIMITS.price);

/**
 * A device asks for requests: so many answers more may be given to it, of so many tokens together. 0 places: none, its owner wants it back
 * or it is full. Each offer replaces the one before for the same model and quantisation. Speed is not offered: the hub measures it.
 */
export const OfferSchema = z.strictObject({
  type: z.literal('offer'),
  model: hash,
  quantisation: z.enum(['f32', 'f16', 'q8_0', 'q4_0']),
  engine: oneLine(20),
  /** Engine, its version and kind of device: answers go on best on the same class. */
  class: oneLine(80),
  context_tokens: count.min(1),
  free_tokens: count,
  places: count.max(SERVE_LIMITS.places),
  /** Whether it takes part in conversations, and whether its model calls tools in them. Answers in a format every device writes. */
  chat: z.boolean(),
  tools: z.boolean(),
  /** How many requests have come over this connection so far: what the hub has sent since is not in `places` and `free_tokens` yet. */
  heard: count,
  /** In millionths of a credit for a million tokens. */
  price_in: price,
  price_out: price,
  /** Where its owner says that it is; null: not said. */
  region: oneLine(40).nullable(),
});
export type Offer = z.infer<typeof OfferSchema>;

/** What a device says of an answer that was leased to it. */
export const ServingFromPeer = [
  OfferSchema,
  /** The request has come; sent at once, so that a device that is gone is noticed before its first token is late. */
  z.strictObject({ type: z.literal('answer-taken'), lease }),
  z.strictObject({ type: z.literal('answer-begun'), lease, prompt_tokens: count.max(SERVE_LIMITS.largest_id) }),
  /** Tokens in order; `from`: how many the device has sent of this lease before. `packed`: see packTokens. */
  z.strictObject({ type: z.literal('answer-tokens'), lease, from: count, packed }),
  /** A call of a tool, after all tokens. */
  z.strictObject({
    type: z.literal('answer-call'),
    lease,
    name: z.string().max(SERVE_LIMITS.call_name),
    arguments: z.string().max(SERVE_LIMITS.call_arguments),
  }),
  z.strictObject({
    type: z.literal('answer-ended'),
    lease,
    text,
    reason: z.enum(['stop', 'length', 'tool_calls']),
    end_id: count.max(SERVE_LIMITS.largest_id).nullable(),
    written_tokens: count,
  }),
  /** What a judge has found (Judged of serving/judge-answer.ts): what it is worth is the hub's to say. */
  z.strictObject({
    ...{ type: z.literal('judged'), lease, prompt_tokens: count.max(SERVE_LIMITS.largest_id) },
    flaw: z.enum(['impossible-token', 'past-the-end', 'wrong-end', 'bad-logprobs']).nullable(),
    ...{ draws: count, differing: count, impossible: count, margin: nats, end_margin: nats },
    logprob_distance: nats.nullable(),
  }),
  /** The device gives the lease back: another one may go on. */
  z.strictObject({ type: z.literal('answer-failed'), lease, code: z.string().max(60), message: z.string().max(400) }),
] as const;
export type FromServingPeer = z.infer<(typeof ServingFromPeer)[number]>;

/** What the hub asks of a device. */
export const ServingFromHub = [
  /** `request`: an AnswerRequest (serving/answers.ts) in JSON; `written` has what other devices have written of it. */
  z.object({
    type: z.literal('answer'),
    lease,
    model: hash,
    quantisation: OfferSchema.shape.quantisation,
    request,
  }),
  /** Asks whether another device has written what the model writes; `asked`: a JudgeTask (serving/judge-task.ts) in JSON. */
  z.object({
    ...{ type: z.literal('judge'), lease, model: hash, quantisation: OfferSchema.shape.quantisation },
    asked: request,
  }),
  /** Nothing more of it is wanted: it stops within a token. `why`: for the device's owner. */
  z.object({ type: z.literal('answer-stop'), lease, why: z.string().max(60) }),
  /** An offer that the hub cannot use. */
  z.object({ type: z.literal('offer-refused'), model: hash, code: z.string().max(60), message: z.string().max(400) }),
] as const;
export type ToServingPeer = z.infer<(typeof ServingFromHub)[number]>;

const SERVING_TYPES: ReadonlySet<string> = new Set<FromServingPeer['type']>([
  ...(['offer', 'answer-taken', 'answer-begun', 'answer-tokens', 'answer-call'] as const),
  ...(['answer-ended', 'answer-failed', 'judged'] as const),
]);

/** Whether a peer's message belongs to the pool. */
export const isServing = (message: { readonly type: string }): message is FromServingPeer =>
  SERVING_TYPES.has(message.type);

const TopSchema = z.tuple([
  count.max(SERVE_LIMITS.largest_id),
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= SERVE_LIMITS.token_bytes),
  z.number().max(0.001), // above 0 only by rounding
]);
/** A token on the wire: id, text that is final with it, whether it is of the prompt, its logprob as [id, bytes, logprob], the likeliest. */
const RowSchema = z.tuple([
  count.max(SERVE_LIMITS.largest_id),
  text,
  z.boolean(),
  TopSchema.nullable(),
  z.array(TopSchema).max(SERVE_LIMITS.top),
]);
export type TokenRow = z.infer<typeof RowSchema>;
const RowsSchema = z.array(RowSchema).min(1).max(SERVE_LIMITS.tokens);

const encoder = new Encoder({ useRecords: false, mapsAsObjects: true, tagUint8Array: false });
const decoder = new Decoder({ useRecords: false, mapsAsObjects: true });

/** How many tokens fit into one message, by the number of the likeliest ones that come with each. */
export function tokensOfMessage(top: number): number {
  const items = 6 + (top + 1) * 4;
  return Math.max(1, Math.min(SERVE_LIMITS.tokens, Math.floor((SERVE_LIMITS.packed_items - 1) / items)));
}

/** Tokens as the bytes of one message: packed, so that a peer's messages stay flat and small for everybody who reads them. */
export const packTokens = (rows: readonly TokenRow[]): Uint8Array => new Uint8Array(encoder.encode(rows));

/** The reverse. Throws ProtocolError `malformed`. */
export function unpackTokens(bytes: Uint8Array): TokenRow[] {
  checkCborForm(bytes, SERVE_LIMITS.packed_items);
  return parsed(RowsSchema, 'tokens', () => decoder.decode(bytes));
}

/** A request as the bytes of a message: JSON, which may nest as deep as a schema for an answer does. Throws ProtocolError `too-large`. */
export function packRequest(request: object): Uint8Array {
  const bytes = new TextEncoder().encode(JSON.stringify(request));
  if (bytes.length <= SERVE_LIMITS.request_bytes) return bytes;
  const most = SERVE_LIMITS.request_bytes;
  throw new ProtocolError('too-large', `request: the pool passes on at most ${most} bytes, got ${bytes.length}`);
}

/** The reverse, by the schema of requests. Throws ProtocolError `malformed`. */
export function unpackRequest<T>(bytes: Uint8Array, schema: z.ZodType<T>): T {
  return parsed(schema, 'request', () => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)));
}

function parsed<T>(schema: z.ZodType<T>, what: string, read: () => unknown): T {
  let value: unknown;
  try {
    value = read();
  } catch (error) {
    throw new ProtocolError('malformed', `${what}: cannot be read: ${(error as Error).message}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ProtocolError('malformed', `${what}: ${issue.path.join('.') || 'body'}: ${issue.message}`);
}
