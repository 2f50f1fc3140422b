// What limits of judging come to over a month of a device: whether an honest one is found by mistake, and what a liar earns until it is out, again and again.
import { DEVICE_LIMITS } from '../hub/serving/devices.ts';
import { addToSum, isFound, type MarginSum, NO_SUM } from '../model/margin-sum.ts';
import type { Random } from '../protocol/random.ts';
import { JUDGED_A_MONTH } from '../serving/calibration.ts';
import { faultOf, type Judged, type JudgingLimits } from '../serving/judge-answer.ts';

/** Judges of other owners, one of whom is drawn for each answer. */
const WORDS = 5;
const ANSWER_MS = 20_000;
const MONTH_MS = 30 * 24 * 3_600_000;

const added = (sum: MarginSum, { tally }: Judged, word: number, limits: JudgingLimits): MarginSum =>
  addToSum(sum, { word: String(word), draws: tally.draws, margin: tally.margin }, limits);

/** Of so many months of honest devices, with answers drawn from these, the part in which the sum finds nobody. */
export function monthsKept(honest: readonly Judged[], limits: JudgingLimits, months: number, random: Random): number {
  let kept = 0;
  for (let month = 0; month < months; month++) {
    let sum = NO_SUM;
    for (let i = 0; i < JUDGED_A_MONTH && !isFound(sum, limits); i++) {
      sum = added(sum, honest[random.below(honest.length)], random.below(WORDS), limits);
    }
    if (!isFound(sum, limits)) kept++;
  }
  return kept / months;
}

/** How many judged answers a liar serves, on average over where it begins, until a judge refuses one or the sum finds it; null: never. */
export function answersUntilOut(lies: readonly Judged[], limits: JudgingLimits): number | null {
  let all = 0;
  for (const first of lies.keys()) {
    let sum = NO_SUM;
    let answers = 0;
    for (let isOut = false; !isOut; answers++) {
      if (answers > JUDGED_A_MONTH) return null;
      const lie = lies[(first + answers) % lies.length];
      sum = added(sum, lie, answers % WORDS, limits);
      isOut = faultOf(lie, limits) !== null || isFound(sum, limits);
    }
    all += answers;
  }
  return all / lies.length;
}

/**
 * The part of an honest device's month that a liar is paid for: each time that it comes back all of its answers are judged, and it is out for twice as
 * long as before (hub/serving/devices.ts). The answers that end it are counted as paid.
 */
export function earnedInMonth(answers_until_out: number | null): number {
  if (answers_until_out === null) return 1;
  const { distrusted_ms, doublings } = DEVICE_LIMITS;
  let [now_ms, paid_ms] = [0, 0];
  for (let times = 0; now_ms < MONTH_MS; times++) {
    paid_ms += Math.min(answers_until_out * ANSWER_MS, MONTH_MS - now_ms);
    now_ms += answers_until_out * ANSWER_MS + distrusted_ms * 2 ** Math.min(times, doublings);
  }
  return paid_ms / MONTH_MS;
}
