// Limits of judging, from what honest answers of a model measured: a rate, an allowance, and limits of single draws and of logprobs.
import type { Judged, JudgingLimits } from './judge-answer.ts';

/** Honest answers of other prompts and engines may be a little worse than the worst that was measured. */
const SAFETY = 1.5;
/** Where engines agree to the last bits nothing was measured at all: another engine would differ by this, and lies by far more. */
const LEAST: JudgingLimits = { per_draw: 2e-4, allowance: 0.05, end_margin: 0.1, logprob_distance: 2e-3 };

/**
 * Limits that these honest answers keep with room to spare. The rate is three times their mean: where single answers are better or worse than others
 * the allowance takes what is above it.
 */
export function limitsFrom(honest: readonly Pick<Judged, 'tally' | 'logprob_distance'>[]): JudgingLimits {
  const sum = (of: (judged: (typeof honest)[number]) => number): number =>
    honest.reduce((all, one) => all + of(one), 0);
  const most = (of: (judged: (typeof honest)[number]) => number): number => Math.max(0, ...honest.map(of));
  const mean =
    sum(({ tally }) => tally.margin) /
    Math.max(
      1,
      sum(({ tally }) => tally.draws),
    );
  const per_draw = Math.max(LEAST.per_draw, 3 * mean);
  return {
    per_draw: rounded(per_draw),
    allowance: rounded(Math.max(LEAST.allowance, SAFETY * most(({ tally }) => tally.margin - per_draw * tally.draws))),
    end_margin: rounded(Math.max(LEAST.end_margin, SAFETY * most(({ tally }) => tally.end_margin))),
    logprob_distance: rounded(
      Math.max(LEAST.logprob_distance, SAFETY * most(({ logprob_distance }) => logprob_distance ?? 0)),
    ),
  };
}

/** To two digits, upwards: a limit is for people, too. */
function rounded(value: number): number {
  const step = 10 ** (Math.floor(Math.log10(value)) - 1);
  return Number((Math.ceil(value / step - 1e-9) * step).toPrecision(2));
}
