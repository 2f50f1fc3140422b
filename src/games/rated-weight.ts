// From verdicts to ratings and from ratings to what a verdict vouches for: the whole number in which a rating ends.
import { z } from 'zod';
import type { Claim, Verdict } from './game.ts';
import { type JudgedWork, NEWCOMER, type RatingRecord } from './rating.ts';

/** How many deviations a worker is given the benefit of. */
const DOUBT = 2;

/**
 * How much of its work a verdict vouches for where a run's rules let ratings count, in thousandths: all of it unless the worker is
 * surely (by two deviations) worse than a newcomer is expected to be. Without a record: all.
 */
export function standingPermille(record: RatingRecord | undefined): number {
  const { mu, sigma } = record ?? NEWCOMER;
  return Math.max(0, Math.min(1000, Math.floor((1000 * (mu + DOUBT * sigma)) / NEWCOMER.mu)));
}

/**
 * How much a verdict vouches for, of what the check found good: `rating_permille` of it depend on the worker's
 * standing. Integers only; never 0, since accepted work is worth something.
 */
export function ratedWeight(weight: number, rating_permille: number, standing_permille: number): number {
  const whole = 1_000_000n - BigInt(rating_permille) * BigInt(1000 - standing_permille);
  return Math.max(1, Number((BigInt(weight) * whole) / 1_000_000n));
}

/** Where a game's evidence has it: what an update gains on the worker's own data, and on random data, of what was to be gained. */
const GainSchema = z.object({ gain: z.object({ assigned: z.number(), random: z.number(), before: z.number() }) });

/**
 * What a verdict says of verified work, to be rated; null for work that was not accepted, or that its judge was not to look at. A game without a `gain` in its evidence
 * is rated by its score. Work on another model than the shared one never gets into the log, so everybody is in step.
 */
export function judgedWork(id: string, { amount }: Pick<Claim, 'amount'>, verdict: Verdict): JudgedWork | null {
  if (!verdict.accepted || verdict.evidence.looked === false) return null;
  const { score_micro, evidence } = verdict;
  const measured = GainSchema.safeParse(evidence);
  if (!measured.success) {
    return { id, amount, improvement: score_micro, on_assigned: 1, on_random: 0, steps_apart: 0 };
  }
  const { assigned, random, before } = measured.data.gain;
  const improvement = random / Math.max(1e-6, before);
  return { id, amount, improvement, on_assigned: assigned, on_random: random, steps_apart: 0 };
}
