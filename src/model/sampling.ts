// Which token comes next: the largest of logit / temperature + Gumbel noise of (seed, position, token), so that whoever has the logits can repeat the draw.
// The noise makes it a draw from the softmax (Gumbel-max, arXiv 1411.0030); nucleus sampling is arXiv 1904.09751's.
import { ModelError } from './errors.ts';
import { gumbelNoise, mostNoise, noiseWords } from './noise.ts';

/** How an answer's tokens are drawn. */
export interface SamplingRule {
  readonly seed: string;
  /** 0 takes the most likely token, 1 draws from the model's own distribution; in between, likelier tokens are drawn more often. */
  readonly temperature: number;
  /** Draws only from the likeliest tokens whose joint probability is at least this, in (0, 1]. */
  readonly top_p: number;
  /** Taken once from the logit of each token that the answer already has. */
  readonly presence_penalty: number;
  /** Taken from it as often as the answer has the token. */
  readonly frequency_penalty: number;
  /** [token, added to its logit]. */
  readonly logit_bias: readonly (readonly [id: number, bias: number])[];
}

/** The model's own distribution. */
export const PLAIN_SAMPLING: Omit<SamplingRule, 'seed'> = {
  temperature: 1,
  top_p: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  logit_bias: [],
};

/** Where a token is drawn. */
export interface DrawPlace {
  /** How many tokens of the sequence come before it, those of the prompt included. */
  readonly position: number;
  /** How often the answer, without its prompt, has each token so far. Missing: not at all. */
  readonly counts?: ReadonlyMap<number, number>;
  /** Bit id % 32 of word id >> 5 says whether a token may come (a grammar's). Missing or null: each may. */
  readonly mask?: Uint32Array | null;
}

/** Colder than this is greedy: quotients of logits would overflow, and the noise would decide nothing any more. */
const LEAST_TEMPERATURE = 1e-4;
export const isGreedy = ({ temperature }: Pick<SamplingRule, 'temperature'>): boolean =>
  temperature < LEAST_TEMPERATURE;

/**
 * The logits as the rule bends them: bias added, penalties taken, divided by the temperature unless it is greedy. −∞ for what may not come and
 * for what an engine gave no finite logit.
 */
export function weighedLogits(logits: Float32Array, rule: SamplingRule, { counts, mask }: DrawPlace): Float64Array {
  const weighed = new Float64Array(logits.length);
  for (let id = 0; id < weighed.length; id++) {
    const allowed = !mask || ((mask[id >>> 5] >>> (id & 31)) & 1) === 1;
    weighed[id] = allowed && Number.isFinite(logits[id]) ? logits[id] : Number.NEGATIVE_INFINITY;
  }
  for (const [id, bias] of rule.logit_bias) if (id < weighed.length) weighed[id] += bias;
  if (counts && (rule.presence_penalty !== 0 || rule.frequency_penalty !== 0)) {
    for (const [id, count] of counts) weighed[id] -= rule.presence_penalty + rule.frequency_penalty * count;
  }
  if (!isGreedy(rule)) for (let id = 0; id < weighed.length; id++) weighed[id] /= rule.temperature;
  return weighed;
}

/** The likeliest token, of equal ones the first. Throws ModelError `bad-input` where no token may come. */
export function likeliest(weighed: Float64Array): number {
  let best = -1;
  let most = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < weighed.length; id++) {
    if (weighed[id] > most) {
      best = id;
      most = weighed[id];
    }
  }
  if (best < 0) throw new ModelError('bad-input', 'sampling: no token may come: each is masked or has no finite logit');
  return best;
}

/** The likeliest tokens, equal ones by id, up to the one with which their joint probability reaches `top_p`. */
export function nucleusOf(weighed: Float64Array, best: number, top_p: number): readonly number[] {
  const odds = (id: number): number => Math.exp(weighed[id] - weighed[best]);
  let total = 0;
  for (let id = 0; id < weighed.length; id++) total += odds(id);
  // Only tokens near the best one are sorted: sorting a whole vocabulary would take as long as computing a small model's token.
  for (let reach = 4; ; reach *= 2) {
    const near: number[] = [];
    for (let id = 0; id < weighed.length; id++) if (weighed[id] >= weighed[best] - reach) near.push(id);
    near.sort((a, b) => weighed[b] - weighed[a] || a - b);
    let kept = 0;
    for (const [index, id] of near.entries()) {
      kept += odds(id);
      if (kept >= top_p * total) return near.slice(0, index + 1);
    }
    if (reach > 1000) return near; // what lies further away has odds of 0: rounding kept the sum below its part
  }
}

/** The token with the most of weighed logit + noise, of equal ones the first. `among`: null for all. */
export function drawn(
  weighed: Float64Array,
  best: number,
  among: readonly number[] | null,
  words: Uint32Array,
): number {
  let winner = best;
  let most = weighed[best] + gumbelNoise(words[best]);
  const length = among ? among.length : weighed.length;
  for (let index = 0; index < length; index++) {
    const id = among ? among[index] : index;
    if (weighed[id] + mostNoise(words[id]) < most) continue;
    const score = weighed[id] + gumbelNoise(words[id]);
    if (score > most || (score === most && id < winner)) {
      winner = id;
      most = score;
    }
  }
  return winner;
}

/**
 * The next token. The same logits, rule and place give the same token on every machine; logits that differ in their last bits give another one only
 * where two tokens are that close. Throws ModelError `bad-input` where no token may come.
 */
export function sampleToken(logits: Float32Array, rule: SamplingRule, place: DrawPlace): number {
  const weighed = weighedLogits(logits, rule, place);
  const best = likeliest(weighed);
  if (isGreedy(rule)) return best;
  const among = rule.top_p < 1 ? nucleusOf(weighed, best, rule.top_p) : null;
  return drawn(weighed, best, among, noiseWords(rule.seed, place.position, weighed.length));
}
