// Margins of one device's answers added up: stays near nothing for honest devices, and grows without end for whoever serves something a little
// coarser, whose single answers keep all limits (a CUSUM: Page, Biometrika 41, 1954).

/** What a device is believed to be honest within. */
export interface SumLimits {
  /** Nats a draw: honest devices stay below it on average, over many answers; what is above it adds up. */
  readonly usual_per_draw: number;
  /** Nats: beyond it a device is found. */
  readonly sum: number;
}

/** What one device has come to with one model, since it was last where every device begins. */
export interface MarginSum {
  /** Nats above what is usual, never below 0. */
  readonly excess: number;
  /** By whose word it came, so that no single one finds anybody; together they are `excess`. */
  readonly by_word: ReadonlyMap<string, number>;
}

export const NO_SUM: MarginSum = { excess: 0, by_word: new Map() };

/** Of the limit: one answer adds no more, so that no single bad one says much, and one word no more in all, so that it takes two. */
const MOST_OF_ANSWER = 0.25;
const MOST_OF_WORD = 0.5;
/** Owners may be as many as the log knows: those beyond so many since the sum was nothing have one word together. */
const WORDS = 32;
const OTHERS = 'others';
/** From this part of the limit on, a device is looked at more closely. */
const NEAR = 0.25;

/** A judged answer is added. @param word the owner of who judged it: all words of one owner are one */
export function addToSum(
  { excess, by_word }: MarginSum,
  { word: by, draws, margin }: { readonly word: string; readonly draws: number; readonly margin: number },
  { usual_per_draw, sum }: SumLimits,
): MarginSum {
  const word = by_word.has(by) || by_word.size < WORDS ? by : OTHERS;
  const before = by_word.get(word) ?? 0;
  const above = Math.min(margin - usual_per_draw * draws, MOST_OF_ANSWER * sum);
  const after = Math.min(before + above, MOST_OF_WORD * sum);
  const now = excess - before + after;
  return now > 0 ? { excess: now, by_word: new Map(by_word).set(word, after) } : NO_SUM;
}

/** Whether a device was found: honest ones come here as seldom as the limits' calibration says (serving/calibration.ts). */
export const isFound = ({ excess }: MarginSum, { sum }: SumLimits): boolean => excess > (1 - ROUNDING) * sum;

/** Whether more of a device's answers should be judged before anything is said. */
export const isNear = ({ excess }: MarginSum, { sum }: SumLimits): boolean => excess > NEAR * sum;

/** Two words that each give half of the limit reach it, although sums of doubles round. */
const ROUNDING = 1e-6;
