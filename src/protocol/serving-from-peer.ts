// What a device that serves says to the hub: what it offers, the tokens that it writes, what it finds as a judge.
import { z } from 'zod';
import { bytes, count, hash, oneLine } from './schemas.ts';
import { energyPerToken, lease, offeredQuantisation, price, SERVE_LIMITS, tokenText } from './serving-messages.ts';

const packed = bytes(SERVE_LIMITS.packed_bytes);
/** What is wrong with an answer whatever the model's logits are. */
export const answerFlaw = z.enum([
  /** An id that the model never writes, or that the answer's form forbids. */
  'impossible-token',
  /** Tokens behind an end token, a stop string, a finished form or the most tokens. */
  'past-the-end',
  /** Said to be over, but it is not, or for another reason. */
  'wrong-end',
  /** Logprobs that are no logprobs, or not as many as tokens. */
  'bad-logprobs',
]);
export type AnswerFlaw = z.infer<typeof answerFlaw>;

const nats = z.number().nonnegative().max(SERVE_LIMITS.nats);

/** What a device's owner says of a file that no run of this hub has made; whoever has the file can see whether the weights are so. */
export const OfferedFileSchema = z.strictObject({
  /** What people call it: no name that callers could ask for. */
  label: oneLine(80),
  /** The name of its licence. */
  licence: oneLine(80),
  /** How most of its weights are stored, in GGUF's words. */
  weights: oneLine(20),
});
export type OfferedFile = z.infer<typeof OfferedFileSchema>;

/**
 * A device asks for requests: so many answers more may be given to it, of so many tokens together. 0 places: none, its owner wants it back
 * or it is full. Each offer replaces the one before for the same model and quantisation. Speed is not offered: the hub measures it.
 */
export const OfferSchema = z.strictObject({
  type: z.literal('offer'),
  model: hash,
  quantisation: offeredQuantisation,
  engine: oneLine(20),
  /** Engine, its version and kind of device: answers go on best on the same class. */
  class: oneLine(80),
  context_tokens: count.min(1),
  free_tokens: count,
  places: count.max(SERVE_LIMITS.places),
  /** Whether it takes part in conversations, and whether its model calls tools in them. Answers in a format every device writes. */
  chat: z.boolean(),
  tools: z.boolean(),
  /** Whether it makes vectors of texts; missing: it does not. */
  embeddings: z.boolean().optional(),
  /** How many requests have come over this connection so far: what the hub has sent since is not in `places` and `free_tokens` yet. */
  heard: count,
  price_in: price,
  price_out: price,
  /** Where its owner says that it is; null: not said. */
  region: oneLine(40).nullable(),
  /** Of a GGUF file, whose SHA-256 is `model`; missing: a run's model. */
  file: OfferedFileSchema.optional(),
  /** Missing: nothing here measures it, or the device does other work as well. */
  energy: energyPerToken.optional(),
});
export type Offer = z.infer<typeof OfferSchema>;

/** What a device says of an answer that was leased to it. */
export const ServingFromPeer = [
  OfferSchema,
  /** The request has come; sent at once, so that a device that is gone is noticed before its first token is late. */
  z.strictObject({ type: z.literal('answer-taken'), lease }),
  z.strictObject({ type: z.literal('answer-begun'), lease, prompt_tokens: count.max(SERVE_LIMITS.largest_id) }),
  /** Tokens in order; `from`: how many the device has sent of this lease before. `packed`: see packTokens (serving-bytes.ts). */
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
    text: tokenText,
    reason: z.enum(['stop', 'length', 'tool_calls']),
    end_id: count.max(SERVE_LIMITS.largest_id).nullable(),
    written_tokens: count,
  }),
  /** Vectors, one behind the other in the order of the texts; `from`: how many numbers the device has sent before. `packed`: see packFloats. */
  z.strictObject({ type: z.literal('embedded'), lease, from: count, packed }),
  z.strictObject({
    ...{ type: z.literal('embed-ended'), lease, tokens: count },
    /** Numbers of one vector. */
    width: count.min(1),
  }),
  /**
   * What the device has served of a lease and wants for it, signed (answer-receipt.ts): now and then while it writes, and once at the end.
   * A later one takes the place of those before.
   */
  z.strictObject({ type: z.literal('answer-claim'), lease, claim: bytes(SERVE_LIMITS.claim_bytes) }),
  /** What a judge has found (Judged of serving/judge-answer.ts): what it is worth is the hub's to say. */
  z.strictObject({
    ...{ type: z.literal('judged'), lease, prompt_tokens: count.max(SERVE_LIMITS.largest_id) },
    flaw: answerFlaw.nullable(),
    ...{ draws: count, differing: count, impossible: count, margin: nats, end_margin: nats },
    logprob_distance: nats.nullable(),
  }),
  /** The device gives the lease back: another one may go on. */
  z.strictObject({ type: z.literal('answer-failed'), lease, code: z.string().max(60), message: z.string().max(400) }),
] as const;
export type FromServingPeer = z.infer<(typeof ServingFromPeer)[number]>;

const SERVING_TYPES: ReadonlySet<string> = new Set(ServingFromPeer.map(({ shape }) => shape.type.value));

/** Whether a peer's message belongs to the pool. */
export const isServing = (message: { readonly type: string }): message is FromServingPeer =>
  SERVING_TYPES.has(message.type);
