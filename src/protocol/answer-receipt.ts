// The receipt of a served answer: the device's signed claim, and around it the gateway's signed word on who pays how much to whom.
//
// Both are signed bodies (envelope.ts) of types that no log takes, so each has exactly one encoding. No prompt, no answer and no name is in
// them: the answer's tokens are there as a salted hash, with which whoever has the salt and the tokens can show that this answer was paid.
import { z } from 'zod';
import { firstIssue } from '../errors.ts';
import { openEvent, signEvent } from './envelope.ts';
import { ProtocolError } from './errors.ts';
import { sha256Hex, utf8 } from './hash.ts';
import type { Identity } from './identity.ts';
import { count, hash } from './schemas.ts';

export const ANSWER_RECEIPT_LIMITS = {
  bytes: 2048, // a receipt has about 900
  tokens: 2 ** 31, // the longest context and answer, a thousand times
  micro: 2 ** 40, // a million credits for one answer: sums of a batch stay exact
  parts: 64, // devices that one answer was handed on to; a pool that loses more serves nobody
} as const;

/** Times in receipts are whole minutes: who reads a batch must not see when somebody pressed a key. */
export const RECEIPT_MINUTE_MS = 60_000;

/** Micro-credits: a millionth of what callers prepay in. */
export const micro = count.max(ANSWER_RECEIPT_LIMITS.micro);
const tokens = count.max(ANSWER_RECEIPT_LIMITS.tokens);

/** By the device: what it served, and what it wants for it. It does not learn who asked. */
export const AnswerClaimSchema = z.strictObject({
  type: z.literal('answer.claimed'),
  version: z.literal(1),
  /** The hub that handed the request out; nobody else can settle the claim. */
  gateway: hash,
  /** Drawn by the gateway for every request. */
  request: hash,
  /** Which part of the answer: another device went on where one was lost. From 0. */
  part: count.max(ANSWER_RECEIPT_LIMITS.parts - 1),
  model: hash,
  /** How the weights were stored, in GGUF's words. */
  quantisation: z.string().regex(/^[a-z0-9_]{1,16}$/, 'expected up to 16 lower-case letters, digits and underscores'),
  input_tokens: tokens,
  output_tokens: tokens,
  /** `answerHash` of the part's tokens. */
  answer: hash,
  earns_micro: micro,
});
export type AnswerClaim = z.infer<typeof AnswerClaimSchema>;

/** By the gateway: who pays for the claim, and what others get of it. */
export const AnswerReceiptSchema = z
  .strictObject({
    type: z.literal('answer.receipt'),
    version: z.literal(1),
    /** The claim's bytes, with the device's signature. */
    claim: z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected the bytes of a claim'),
    /** The account that pays, by the id that its API key belongs to. */
    caller: hash,
    /** The run that made the model; null for a model that no run here made. */
    run: hash.nullable(),
    holders_micro: micro,
    gateway_micro: micro,
    /** When the answer ended, by the log's clock, down to the minute. */
    time_ms: count.multipleOf(RECEIPT_MINUTE_MS),
  })
  .refine(({ run, holders_micro }) => run !== null || holders_micro === 0, 'a model without a run has no holders');
type ReceiptBody = z.infer<typeof AnswerReceiptSchema>;

/** An opened receipt: both signatures are those of `gateway` and `device`. */
export interface AnswerReceipt extends AnswerClaim, Omit<ReceiptBody, 'type' | 'version' | 'claim'> {
  readonly bytes: Uint8Array;
  readonly device: string;
  /** What the caller pays: the parts of the device, the holders and the gateway. */
  readonly charge_micro: number;
}

/** The hash of an answer's tokens with a random salt of 32 bytes, without which a short answer could be guessed. */
export function answerHash(salt: Uint8Array, token_ids: ArrayLike<number>): string {
  if (salt.length !== 32) throw new ProtocolError('malformed', `expected a salt of 32 bytes, got ${salt.length}`);
  const bytes = new Uint8Array(4 * token_ids.length);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < token_ids.length; i++) view.setUint32(4 * i, token_ids[i], true);
  return sha256Hex(utf8('potluck-answer-v1\0'), salt, bytes);
}

/** The device signs what it served. Throws ProtocolError `malformed` for a claim of another form. */
export function signClaim(device: Identity, claim: Omit<AnswerClaim, 'type' | 'version'>): Promise<Uint8Array> {
  return signEvent(device, formed(AnswerClaimSchema, { type: 'answer.claimed', version: 1, ...claim }, 'claim'));
}

/** `verify_signature`: false only for what this process has verified before, or has signed and kept itself. All else is still checked. */
interface OpenOptions {
  readonly verify_signature?: boolean;
}

/** The claim and its device. Throws ProtocolError where it is none or another than its device signed. */
export function openClaim(bytes: Uint8Array, options?: OpenOptions): AnswerClaim & { readonly device: string } {
  const { author, body } = openEvent(bytes, options);
  return { ...formed(AnswerClaimSchema, body, 'claim'), device: author };
}

/**
 * The gateway signs who pays for a claim. It opens the claim first, so that nothing is ever signed that nobody can verify.
 * Throws ProtocolError; `wrong-sender` where the claim is for another gateway.
 */
export async function signReceipt(
  gateway: Identity,
  body: Omit<ReceiptBody, 'type' | 'version'>,
  options?: OpenOptions,
): Promise<Uint8Array> {
  mustBeFor(gateway.id, openClaim(body.claim, options));
  const whole = formed(AnswerReceiptSchema, { type: 'answer.receipt', version: 1, ...body }, 'receipt');
  return signEvent(gateway, whole);
}

/**
 * Opens a receipt and verifies both signatures, unless the options say otherwise.
 * Throws ProtocolError `malformed`, `too-large`, `bad-signature`, `not-canonical`, ...; `wrong-sender` where the gateway that signed is not
 * the one that the claim is for.
 */
export function openReceipt(bytes: Uint8Array, options?: OpenOptions): AnswerReceipt {
  const most_bytes = ANSWER_RECEIPT_LIMITS.bytes;
  if (bytes.length > most_bytes) {
    throw new ProtocolError('too-large', `a receipt has at most ${most_bytes} bytes, got ${bytes.length}`);
  }
  const { author, body } = openEvent(bytes, options);
  const {
    claim: claimed,
    caller,
    run,
    holders_micro,
    gateway_micro,
    time_ms,
  } = formed(AnswerReceiptSchema, body, 'receipt');
  const claim = openClaim(claimed, options);
  mustBeFor(author, claim);
  const charge_micro = claim.earns_micro + holders_micro + gateway_micro;
  return { ...claim, ...{ bytes, caller, run, holders_micro, gateway_micro, time_ms, charge_micro } };
}

/** What a receipt is about, of which there is only one: a part of an answer. */
export const servedPart = ({ request, part }: Pick<AnswerClaim, 'request' | 'part'>): string => `${request} ${part}`;

function mustBeFor(gateway: string, claim: AnswerClaim): void {
  if (claim.gateway === gateway) return;
  throw new ProtocolError('wrong-sender', `the claim is for the gateway ${claim.gateway}, not for ${gateway}`);
}

function formed<Schema extends z.ZodType>(schema: Schema, body: unknown, what: string): z.infer<Schema> {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new ProtocolError('malformed', `${what}: ${firstIssue(parsed.error)}`);
}
