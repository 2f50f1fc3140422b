// Quotas: two buckets a caller, of requests and of tokens, that fill within a minute. What a request may need is taken before it begins
// and settled when it ends, so that whoever has used up a minute hears so early, and not in the middle of an answer.
import type { Clock } from '../../protocol/clock.ts';
import { API_LIMITS } from '../limits.ts';
import { ApiError } from './errors.ts';
import type { Caller } from './keys.ts';

/** Callers that are remembered; beyond that the one who asked longest ago begins with full buckets again. */
const CALLERS = 10_000;

type Kind = 'requests' | 'tokens';

interface Bucket {
  left: number;
  at_ms: number;
}

/** What is left of a bucket, for the headers of an answer. */
export interface Left {
  readonly kind: Kind;
  readonly limit: number;
  readonly remaining: number;
  readonly reset_ms: number;
}

/** Tokens that one request has taken. */
export interface Taken {
  /** Gives back what was not needed, or takes what was needed beyond; once. */
  settle(used_tokens: number): void;
}

export interface Quotas {
  /** Throws ApiError `too-fast`. */
  takeRequest(caller: Caller): void;
  /**
   * Takes a prompt's tokens, and some for the answer. Throws ApiError `too-fast`, or `beyond-quota` for a prompt that a minute does not
   * give.
   */
  takeTokens(caller: Caller, prompt_tokens: number, answer_tokens: number): Taken;
  left(caller: Caller): readonly Left[];
}

export function openQuotas(clock: Clock): Quotas {
  const buckets = new Map<string, Bucket>();

  /** The bucket as it is now; null where there is no limit. */
  const bucketOf = (
    caller: Caller,
    kind: Kind,
  ): (Bucket & { readonly limit: number; readonly kept: Bucket }) | null => {
    const limit = kind === 'requests' ? caller.requests_per_minute : caller.tokens_per_minute;
    if (limit === null) return null;
    const name = `${kind} ${caller.id}`;
    const now_ms = clock.elapsed_ms();
    const kept = buckets.get(name) ?? { left: limit, at_ms: now_ms };
    kept.left = Math.min(limit, kept.left + ((now_ms - kept.at_ms) * limit) / API_LIMITS.reset_ms);
    kept.at_ms = now_ms;
    buckets.delete(name);
    buckets.set(name, kept);
    if (buckets.size > 2 * CALLERS) buckets.delete(buckets.keys().next().value!);
    return { ...kept, limit, kept };
  };

  const take = (caller: Caller, kind: Kind, amount: number): void => {
    const bucket = bucketOf(caller, kind);
    if (bucket === null) return;
    const { limit, left, kept } = bucket;
    if (amount > left) {
      const retry_after_ms = Math.ceil(((amount - left) * API_LIMITS.reset_ms) / limit);
      const fact = `at most ${limit} ${kind} a minute: ${Math.floor(left)} are left, ${amount} are needed`;
      throw new ApiError('too-fast', `${fact}; try again in ${retry_after_ms} ms`, { retry_after_ms });
    }
    kept.left -= amount;
  };

  return {
    takeRequest: (caller) => take(caller, 'requests', 1),
    takeTokens(caller, prompt_tokens, answer_tokens) {
      const limit = caller.tokens_per_minute ?? Number.POSITIVE_INFINITY;
      if (prompt_tokens > limit) {
        const fact = `at most ${limit} tokens a minute, and the prompt alone has about ${prompt_tokens}`;
        throw new ApiError('beyond-quota', fact);
      }
      const tokens = Math.min(limit, prompt_tokens + answer_tokens);
      take(caller, 'tokens', tokens);
      let open = true;
      return {
        settle(used_tokens) {
          const bucket = bucketOf(caller, 'tokens');
          if (open && bucket !== null) bucket.kept.left += tokens - used_tokens;
          open = false;
        },
      };
    },
    left: (caller) =>
      (['requests', 'tokens'] as const).flatMap((kind) => {
        const bucket = bucketOf(caller, kind);
        if (bucket === null) return [];
        const { limit, left } = bucket;
        const reset_ms = Math.ceil(((limit - left) * API_LIMITS.reset_ms) / limit);
        return [{ kind, limit, remaining: Math.max(0, Math.floor(left)), reset_ms }];
      }),
  };
}

/** The headers by which OpenAI's clients learn what is left. */
export function quotaHeaders(left: readonly Left[]): Record<string, string> {
  return Object.fromEntries(
    left.flatMap(({ kind, limit, remaining, reset_ms }) => [
      [`x-ratelimit-limit-${kind}`, String(limit)],
      [`x-ratelimit-remaining-${kind}`, String(remaining)],
      [`x-ratelimit-reset-${kind}`, `${reset_ms}ms`],
    ]),
  );
}
