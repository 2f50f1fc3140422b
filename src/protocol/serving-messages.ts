// The messages of the pool that serves, from the hub: what it asks of a device. What a device says: serving-from-peer.ts.
import { z } from 'zod';
import { bytes, count, hash } from './schemas.ts';

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
  claim_bytes: 1024, // a claim has about 500
  places: 64, // answers that a device writes at the same time
  price: 1_000_000_000, // millionths of a credit for a million tokens: 1,000 credits
  embed_inputs: 2048, // API_LIMITS.embedding_inputs
  embed_floats: 4 * 2 ** 20, // of all vectors of one request: 16 MB, which the hub holds until all have come
  nats: 1e9, // of a judge's sums: no answer comes near
  joules: 100_000, // of a token: a kilowatt for more than a minute and a half
} as const;

export const lease = z.string().regex(/^[0-9a-f]{16}$/, 'expected 16 hexadecimal digits');
/** Text that is final with a token. */
export const tokenText = z.string().max(SERVE_LIMITS.token_text);
const request = bytes(SERVE_LIMITS.request_bytes);

/** What a token takes beyond an idle device: measured by it, or computed from what its owner states that it takes. */
export const energyPerToken = z.strictObject({
  how: z.enum(['measured', 'stated']),
  joules: z.number().nonnegative().max(SERVE_LIMITS.joules),
});
export type EnergyPerToken = z.infer<typeof energyPerToken>;

/** Why nobody pays a device that asks for it: the hub asks its callers for no keys, or the log does not know whose the device is. */
export const unpaidCode = z.enum(['nobody-pays', 'not-bound']);
export type UnpaidCode = z.infer<typeof unpaidCode>;

export const quantisation = z.enum(['f32', 'f16', 'q8_0', 'q4_0']);
/** How the weights of a run's model are stored; `gguf`: as the file that has this hash has them. */
export const offeredQuantisation = z.enum([...quantisation.options, 'gguf']);

/** In millionths of a credit for a million tokens. */
export const price = count.max(SERVE_LIMITS.price);
/**
 * What a device needs to sign a claim (answer-receipt.ts) of what it serves: the hub draws request and salt, which the caller gets too, and
 * says by which of the device's offers it asks.
 */
const pay = z.object({ gateway: hash, request: hash, part: count, salt: bytes(32), price_in: price, price_out: price });
export type PayWords = z.infer<typeof pay>;

/** What the hub asks of a device. */
export const ServingFromHub = [
  /**
   * `request`: an AnswerRequest (serving/answers.ts) in JSON; `written` has what other devices have written of it. `pay`: missing where the
   * device has asked nothing.
   */
  z.object({
    type: z.literal('answer'),
    lease,
    model: hash,
    quantisation: offeredQuantisation,
    request,
    pay: pay.optional(),
  }),
  /** Asks whether another device has written what the model writes; `asked`: a JudgeTask (serving/judge-task.ts) in JSON. */
  z.object({
    ...{ type: z.literal('judge'), lease, model: hash, quantisation: offeredQuantisation },
    asked: request,
  }),
  /** Asks for the vectors of texts; `asked`: EmbedInputs (serving-bytes.ts) in JSON. */
  z.object({
    ...{ type: z.literal('embed'), lease, model: hash, quantisation: offeredQuantisation },
    asked: request,
  }),
  /**
   * Nothing more of it is wanted: it stops within a token. `why`: for the device's owner. `took`: how many of the answer's tokens the hub has
   * got of it, for the device's last claim; missing where nothing is paid.
   */
  z.object({ type: z.literal('answer-stop'), lease, why: z.string().max(60), took: count.optional() }),
  /** An offer that the hub cannot use, or for which no request will come (UnpaidCode). */
  z.object({ type: z.literal('offer-refused'), model: hash, code: z.string().max(60), message: z.string().max(400) }),
] as const;
export type ToServingPeer = z.infer<(typeof ServingFromHub)[number]>;
