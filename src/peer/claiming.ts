// What a device signs of one answer that it is paid for: now and then while it writes, so that a death costs it little, and once at the end.
import { type AnswerClaim, answerHash, signClaim } from '../protocol/answer-receipt.ts';
import type { Identity } from '../protocol/identity.ts';
import type { PayWords } from '../protocol/serving-messages.ts';
import type { AnswerEvent, AnswerRequest } from '../serving/answers.ts';
import { chargeOf, type TokenPrice } from '../serving/price.ts';

/** How often a device signs while it writes: more often costs the hub, and so much work at most is lost with a device. */
const CLAIM_EVERY_MS = 2000;

interface ClaimingOptions extends Pick<AnswerClaim, 'model' | 'quantisation'> {
  readonly identity: Identity;
  readonly pay: PayWords;
  readonly price: TokenPrice;
  readonly request: AnswerRequest;
  now_ms(): number;
  /** Sends a claim, after all tokens that it is of. */
  send(claim: Uint8Array): void;
}

export interface Claiming {
  /** Hears what the device has written; signs now and then. */
  heard(event: AnswerEvent): void;
  /** The hub wants no more than it has got: so many tokens. */
  took(tokens: number): void;
  /** Signs for all that was written or, where the hub said how many it took, for those; resolves when that is sent. */
  end(): Promise<void>;
}

export function openClaiming(options: ClaimingOptions): Claiming {
  const { identity, pay, price, request, model, quantisation, now_ms, send } = options;
  const ids: number[] = [];
  let prompt_tokens = 0;
  let ended = false;
  let taken: number | null = null;
  let signed_ms = now_ms();
  let last = 0;
  let signing: Promise<void> = Promise.resolve();

  const sign = async (output_tokens: number): Promise<void> => {
    // Whoever goes on in mid-answer reads the prompt for what it writes: it was paid with the first token.
    const input_tokens = request.written.length === 0 ? prompt_tokens : 0;
    const claim = await signClaim(identity, {
      ...{ gateway: pay.gateway, request: pay.request, part: pay.part },
      ...{ model, quantisation, input_tokens, output_tokens },
      answer: answerHash(pay.salt, ids.slice(0, output_tokens)),
      earns_micro: chargeOf(price, input_tokens, output_tokens),
    });
    send(claim);
  };
  const signNext = (output_tokens: number): void => {
    signed_ms = now_ms();
    last = output_tokens;
    signing = signing.then(() => sign(output_tokens));
  };

  return {
    heard(event) {
      if (event.kind === 'begun') ({ prompt_tokens } = event);
      if (event.kind === 'ended') ended = true;
      if (event.kind !== 'token' || event.echoed) return;
      ids.push(event.id);
      if (now_ms() - signed_ms >= CLAIM_EVERY_MS) signNext(ids.length);
    },
    took(tokens) {
      taken = tokens;
    },
    end() {
      const tokens = Math.min(taken ?? ids.length, ids.length);
      if (tokens !== last || (tokens === 0 && ended)) signNext(tokens);
      return signing;
    },
  };
}
