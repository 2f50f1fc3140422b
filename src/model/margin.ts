// How far a served token is from the one that a judge would draw: the judge's logits need change by no more than this for the token to be right.
// Engines and quantisations move logits a little, so honest margins are 0 nearly always and small otherwise (Token-DiFR, arXiv 2511.20621).
import { gumbelNoise, noiseWords } from './noise.ts';
import { type DrawPlace, drawn, isGreedy, likeliest, nucleusOf, type SamplingRule, weighedLogits } from './sampling.ts';

/**
 * How much of p · (1 − p) the border of a nucleus may be off: logits that differ by d move a joint probability p by at most about d · p · (1 − p),
 * and engines that promise 8 bits differ by about this in one token of a hundred.
 */
const BORDER = 0.1;

export interface Margin {
  /** What the judge draws. */
  readonly choice: number;
  /**
   * In nats of a logit before the temperature: score of the judge's choice less that of the served token; 0 where they agree, ∞ for a
   * token that may not come at all.
   */
  readonly margin: number;
}

/**
 * Judges a served token. Near the border of the nucleus it believes the server: no token counts as better that might lie outside, and none is outside
 * that might lie within; whoever draws from further away has the way to the border as its margin. Throws ModelError `bad-input`.
 */
export function marginOf(logits: Float32Array, rule: SamplingRule, place: DrawPlace, served: number): Margin {
  const weighed = weighedLogits(logits, rule, place);
  const best = likeliest(weighed);
  if (isGreedy(rule)) return { choice: best, margin: weighed[best] - (weighed[served] ?? Number.NEGATIVE_INFINITY) };
  const words = noiseWords(rule.seed, place.position, weighed.length);
  const { top_p } = rule;
  const among = top_p < 1 ? nucleusOf(weighed, best, top_p) : null;
  const choice = drawn(weighed, best, among, words);
  if (choice === served) return { choice, margin: 0 };
  if (!(weighed[served] > Number.NEGATIVE_INFINITY)) return { choice, margin: Number.POSITIVE_INFINITY };
  const scoreOf = (id: number): number => weighed[id] + gumbelNoise(words[id]);
  if (!among) return { choice, margin: (scoreOf(choice) - scoreOf(served)) * rule.temperature };
  const slack = BORDER * top_p * (1 - top_p);
  const rival = drawn(weighed, best, nucleusOf(weighed, best, top_p - slack), words);
  const border = weighed[nucleusOf(weighed, best, top_p + slack).at(-1)!];
  const outside = Math.max(0, border - weighed[served]);
  return { choice, margin: Math.max(0, outside, scoreOf(rival) - scoreOf(served)) * rule.temperature };
}
