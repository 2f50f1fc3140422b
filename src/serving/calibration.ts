// Limits of judging, from what honest answers of a model measured: of single answers, of single draws, of logprobs, and of a device's answers together.
import type { Judged, JudgingLimits } from './judge-answer.ts';

/**
 * Honest answers of other prompts and engines may be worse than the worst that was measured. A single answer so far beyond is refused; what is a little
 * too much each time is found by the sum.
 */
const SAFETY = 3;
/** Of honest devices' mean: less is usual. */
const USUAL_TIMES = 3;
/** Where engines agree to the last bits nothing was measured at all: another engine would differ by this, and lies by far more. */
const LEAST: JudgingLimits = {
  ...{ per_draw: 2e-4, allowance: 0.05, end_margin: 0.1, logprob_distance: 2e-3 },
  ...{ usual_per_draw: 1e-4, sum: 0.5 },
};
/** One answer adds at most a quarter of `sum` (model/margin-sum.ts): the worst honest one that was measured counts whole. */
const ANSWERS_OF_SUM = 4;

/** What honest devices are promised: of so many judged answers, which a busy device has in a month, the sum finds one device of … */
export const JUDGED_A_MONTH = 10_000;
/** … two hundred by mistake. */
export const FOUND_BY_MISTAKE = 0.005;

type Honest = readonly Pick<Judged, 'tally' | 'logprob_distance'>[];

/** Limits that these honest answers keep with room to spare. */
export function limitsFrom(honest: Honest): JudgingLimits {
  const most = (of: (judged: Honest[number]) => number): number => Math.max(0, ...honest.map(of));
  const draws = honest.reduce((sum, { tally }) => sum + tally.draws, 0);
  const mean = honest.reduce((sum, { tally }) => sum + tally.margin, 0) / Math.max(1, draws);
  const per_draw = Math.max(LEAST.per_draw, USUAL_TIMES * mean);
  const worst = most(({ tally }) => tally.margin);
  // One that is worse than all was just not met.
  const unmet = SAFETY * worst;
  const usual_per_draw = rounded(Math.max(LEAST.usual_per_draw, USUAL_TIMES * (mean + unmet / Math.max(1, draws))));
  return {
    per_draw: rounded(per_draw),
    allowance: rounded(Math.max(LEAST.allowance, SAFETY * most(({ tally }) => tally.margin - per_draw * tally.draws))),
    end_margin: rounded(Math.max(LEAST.end_margin, SAFETY * most(({ tally }) => tally.end_margin))),
    logprob_distance: rounded(
      Math.max(LEAST.logprob_distance, SAFETY * most(({ logprob_distance }) => logprob_distance ?? 0)),
    ),
    usual_per_draw,
    sum: rounded(Math.max(LEAST.sum, ANSWERS_OF_SUM * worst, heightOf(honest, usual_per_draw, unmet))),
  };
}

/**
 * How high the sum of margins above `usual_per_draw` may rise, so that honest devices reach it as seldom as promised. Where the mean of exp(θ · x) over
 * answers that add x is at most 1, a sum that begins with any one answer ever rises above h with a chance of at most exp(−θ · h) (Ville's inequality);
 * a month has so many beginnings.
 */
function heightOf(honest: Honest, usual_per_draw: number, unmet: number): number {
  const added = [...honest.map(({ tally }) => tally.margin - usual_per_draw * tally.draws), unmet];
  const isWithin = (theta: number): boolean => added.reduce((sum, x) => sum + Math.exp(theta * x), 0) <= added.length;
  let [low, high] = [0, 1e6];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (isWithin(middle)) low = middle;
    else high = middle;
  }
  return Math.log(JUDGED_A_MONTH / FOUND_BY_MISTAKE) / low;
}

/** To two digits, upwards: a limit is for people, too. */
function rounded(value: number): number {
  const step = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.ceil(value / step - 1e-9) * step).toPrecision(2));
}
