// Logprobs as OpenAI's clients read them: by token for chat and responses, in parallel lists for completions.
import { z } from 'zod';
import type { AnswerEvent, TokenLogprob } from '../answers.ts';

const TokenSchema = z.strictObject({ token: z.string(), logprob: z.number(), bytes: z.array(z.int()) });
export const TokenLogprobSchema = TokenSchema.extend({ top_logprobs: z.array(TokenSchema) });
export type ListedLogprob = z.infer<typeof TokenLogprobSchema>;

export const LegacyLogprobsSchema = z.strictObject({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullable(),
  /** Where each token begins in the text. */
  text_offset: z.array(z.int()),
});
export type LegacyLogprobs = z.infer<typeof LegacyLogprobsSchema>;

export type TokenEvent = Extract<AnswerEvent, { kind: 'token' }>;

/** The least number that clients take for a probability of nothing: JSON has no −∞, and OpenAI writes this. */
const NEVER = -9999;

const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
const numberOf = (logprob: number): number => (Number.isFinite(logprob) ? logprob : NEVER);

const listed = ({ bytes, logprob }: TokenLogprob) => ({
  token: lenient.decode(bytes),
  logprob: numberOf(logprob),
  bytes: [...bytes],
});

/** null where none were asked for. */
export function listedLogprob({ logprob, top }: TokenEvent): ListedLogprob | null {
  return logprob && { ...listed(logprob), top_logprobs: top.map(listed) };
}

/** A token's bytes as text; those that are no whole characters as OpenAI spells them: `bytes:\xe2\x82`. */
function spelled(bytes: Uint8Array): string {
  try {
    return strict.decode(bytes);
  } catch {
    return `bytes:${[...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')}`;
  }
}

/** The parallel lists of some tokens. `offset` of the text that came before them. */
export function legacyLogprobs(
  tokens: readonly { readonly event: TokenEvent; readonly bytes: Uint8Array; readonly offset: number }[],
  with_top: boolean,
): LegacyLogprobs {
  return {
    tokens: tokens.map(({ bytes }) => spelled(bytes)),
    token_logprobs: tokens.map(({ event }) => event.logprob && numberOf(event.logprob.logprob)),
    top_logprobs: with_top
      ? tokens.map(({ event }) =>
          event.logprob === null
            ? null
            : Object.fromEntries(event.top.map(({ bytes, logprob }) => [spelled(bytes), numberOf(logprob)])),
        )
      : null,
    text_offset: tokens.map(({ offset }) => offset),
  };
}
