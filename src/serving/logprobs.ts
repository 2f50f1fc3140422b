// Natural logarithms of tokens' probabilities: softmax of a model's own logits, before temperature, bias and penalties.
import type { TokenLogprob } from './answers.ts';
import type { TokenTable } from './engine.ts';

/** What is subtracted from a logit to get its logprob: ln Σ e^logit, over finite logits. */
export function logSum(logits: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > most && logit < Number.POSITIVE_INFINITY) most = logit;
  let sum = 0;
  for (const logit of logits) if (Number.isFinite(logit)) sum += Math.exp(logit - most);
  return most + Math.log(sum);
}

/** A token's logprob beside those of the `count` likeliest tokens, the likeliest first, equal ones by id. */
export function tokenLogprobs(
  logits: Float32Array,
  id: number,
  count: number,
  tokens: Pick<TokenTable, 'bytesOf'>,
): { readonly logprob: TokenLogprob; readonly top: readonly TokenLogprob[] } {
  const sum = logSum(logits);
  const of = (token: number): TokenLogprob => ({
    id: token,
    bytes: tokens.bytesOf(token),
    logprob: logits[token] - sum,
  });
  return { logprob: of(id), top: likeliestIds(logits, count).map(of) };
}

/** The ids of the `count` greatest finite logits in order: one pass that keeps the best so far, as there are at most 20 of them. */
function likeliestIds(logits: Float32Array, count: number): number[] {
  const best: number[] = [];
  for (let id = 0; id < logits.length; id++) {
    if (!Number.isFinite(logits[id])) continue;
    if (best.length === count && (count === 0 || logits[id] <= logits[best[count - 1]])) continue;
    const at = best.findIndex((other) => logits[id] > logits[other]);
    best.splice(at < 0 ? best.length : at, 0, id);
    if (best.length > count) best.pop();
  }
  return best;
}
