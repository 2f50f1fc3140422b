// What a device's answers are judged together by, and how far off those that were accepted are together.
import { type MarginSum, NO_SUM, type SumLimits } from '../../model/margin-sum.ts';
import type { Offer } from '../../protocol/serving-from-peer.ts';

/** Models of one run in one quantisation, or one file: whoever made it may own all who judge it, so that trust in one is none in another. */
export type JudgedKey = string;
export const judgedKey = (
  { model, quantisation }: Pick<Offer, 'model' | 'quantisation'>,
  run: string | null,
): JudgedKey => `${run ?? model} ${quantisation}`;

export type JudgedSums = Map<JudgedKey, { readonly sum: MarginSum; readonly limits: SumLimits }>;

/** Where limits have changed it begins anew: what was little by the old ones may be too much by the new, and no honest device is found for that. */
export function sumOf(sums: JudgedSums, of: JudgedKey, { usual_per_draw, sum }: SumLimits): MarginSum {
  const known = sums.get(of);
  const isSame = known?.limits.usual_per_draw === usual_per_draw && known.limits.sum === sum;
  return isSame ? known.sum : NO_SUM;
}
