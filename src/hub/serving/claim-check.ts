// Whether a device's claim says what the hub has seen itself: pure, and without its signature, which is verified once, when the claim is paid.
import { type AnswerClaim, answerHash } from '../../protocol/answer-receipt.ts';
import { chargeOf, type TokenPrice } from '../../serving/price.ts';

/** What is known of a part of an answer from the moment its device was asked. */
export interface ClaimTerms extends Pick<AnswerClaim, 'gateway' | 'request' | 'part' | 'model' | 'quantisation'> {
  readonly device: string;
  /** Without which nobody guesses a short answer from its hash. */
  readonly salt: Uint8Array;
  /** What the device asked when the lease began. */
  readonly price: TokenPrice;
}

/** What the hub has got of the part. */
export interface PartSeen {
  /** Of the prompt, as far as this part is paid for reading it. */
  readonly input_tokens: number;
  readonly ids: readonly number[];
  /** The device has ended the answer itself: only then is there something to pay without a token. */
  readonly ended: boolean;
}

/** What a part of `output_tokens` earns its device, in micro-credits. The prompt is paid with the first token, or with the end. */
export function partEarns({ price }: ClaimTerms, { input_tokens, ended }: PartSeen, output_tokens: number): number {
  return output_tokens > 0 || ended ? chargeOf(price, input_tokens, output_tokens) : 0;
}

/** What is wrong with a claim, in words; null: nothing. @param least the tokens of the claim before, which no later one takes back */
export function wrongOfClaim(
  claim: AnswerClaim & { readonly device: string },
  terms: ClaimTerms,
  seen: PartSeen,
  least: number,
): string | null {
  for (const field of ['device', 'gateway', 'request', 'part', 'model', 'quantisation'] as const) {
    if (claim[field] !== terms[field]) return `${field}: expected ${terms[field]}, got ${claim[field]}`;
  }
  const { output_tokens, input_tokens, earns_micro, answer } = claim;
  if (output_tokens < least || output_tokens > seen.ids.length) {
    return `expected from ${least} to ${seen.ids.length} tokens, got ${output_tokens}`;
  }
  if (output_tokens === 0 && !seen.ended) return 'expected a claim of a token at least';
  if (input_tokens !== seen.input_tokens)
    return `expected a prompt of ${seen.input_tokens} tokens, got ${input_tokens}`;
  const earned_micro = partEarns(terms, seen, output_tokens);
  if (earns_micro !== earned_micro) return `expected ${earned_micro} micro-credits by the price, got ${earns_micro}`;
  return answer === answerHash(terms.salt, seen.ids.slice(0, output_tokens)) ? null : "another answer's hash";
}
