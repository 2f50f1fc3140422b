// What judges say of a device's part of an answer, and what follows: pure. No single word takes anything from anybody.
import type { Margins } from '../../core/events/limits-published.ts';
import { inNats } from '../../core/serving/margins.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';
import { faultOf, type Judged, type JudgingLimits } from '../../serving/judge-answer.ts';

/** Where engines compute in 32 bits they agree to the last bits but a few. */
const EXACT: JudgingLimits = {
  ...{ per_draw: 1e-3, allowance: 0.5, end_margin: 0.6, logprob_distance: 0.03 },
  ...{ usual_per_draw: 1e-3, sum: 3 },
};
/** Where they round, one honest answer of a thousand is nats away: near the border of a nucleus, a likely token is either in it or not. */
const ROUNDED: JudgingLimits = {
  ...{ per_draw: 1.7e-3, allowance: 17, end_margin: 0.6, logprob_distance: 0.045 },
  ...{ usual_per_draw: 1.7e-3, sum: 180 },
};

/**
 * By what a part is judged: as the owner of the model's run has published it, otherwise by what honest engines keep as far as they were measured
 * (`npm run bench serve-limits`). Lies that matter to callers (another model, another seed, no model at all) are a hundred times as far away.
 */
export const limitsBy = (margins: Margins | undefined, quantisation: Offer['quantisation']): JudgingLimits =>
  margins ? inNats(margins) : quantisation === 'f32' || quantisation === 'f16' ? EXACT : ROUNDED;

/** Judges who refuse, before a device is believed to lie. */
const REFUSALS = 2;

/** Whether a judge's findings refuse a part of `ids` tokens; null: they cannot be of that part. */
export function refuses(
  found: Judged,
  part: { readonly ids: number; readonly prompt_tokens: number },
  limits: JudgingLimits,
): boolean | null {
  const { draws, differing, impossible } = found.tally;
  const isWhole = found.flaw !== null ? draws <= part.ids : draws === part.ids;
  if (!isWhole || differing > draws || impossible > draws) return null;
  // A prompt that the device has counted otherwise was cut, or is charged for more than it has.
  return found.prompt_tokens !== part.prompt_tokens || faultOf(found, limits) !== null;
}

/**
 * What follows from verdicts, each of another key, true for a refusal: a first acceptance is enough, a first refusal asks for a second
 * judge and, where the two disagree, for a third.
 */
export function outcomeOf(refused: readonly boolean[]): 'ask' | 'accepted' | 'refused' {
  const refusals = refused.filter((one) => one).length;
  const acceptances = refused.length - refusals;
  if (refusals >= REFUSALS) return 'refused';
  return acceptances > refusals ? 'accepted' : 'ask';
}
