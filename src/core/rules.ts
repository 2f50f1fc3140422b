// The rules of a run that decide about pay: announced when it is created, changed only with notice, never for work under way.
import { z } from 'zod';
import { count, hash, permille } from '../protocol/schemas.ts';
import { CORE_LIMITS } from './limits.ts';

/** The shares that a run promises; shares.ts divides them. */
const EmissionSchema = z
  .strictObject({
    shares_per_round: count.max(CORE_LIMITS.shares_per_round),
    halving_rounds: count,
    owner_permille: permille,
    workers_permille: permille,
    validators_permille: permille,
  })
  .refine((e) => e.owner_permille + e.workers_permille + e.validators_permille === 1000, {
    error: 'the parts of owner, workers and validators must add up to 1000 permille',
  });

export const RulesSchema = z.strictObject({
  emission: EmissionSchema,
  /** How many validators judge each submission, if so many are present. */
  judges: z.int().min(1).max(CORE_LIMITS.judges),
  /** The bond: a device caught cheating loses what it earned in this many rounds. */
  withheld_rounds: count.max(CORE_LIMITS.withheld_rounds),
  /** At which rate, in thousandths, each judge re-executes the work of a device with the best record, at least. */
  reexecute_permille: permille,
  /** How many submissions of a device without a record are always re-executed by all of their judges. */
  probation: count.max(CORE_LIMITS.probation),
  /** How much a worker without a record may claim in a round that somebody can judge (first-work.ts); any amount where missing. */
  first_amount: z.int().min(1).optional(),
  /** How much of what a verdict vouches for, in thousandths, may depend on its judge's rating of the worker; none where missing. */
  rating_permille: permille.optional(),
  /** How many merged rounds before it takes effect a change must be announced. */
  notice_rounds: z.int().min(1).max(CORE_LIMITS.notice_rounds),
  /** For how many merged rounds after their release locked shares can still be lost; where missing, the usual number. */
  release_rounds: z.int().min(CORE_LIMITS.release_rounds.min).max(CORE_LIMITS.release_rounds.max).optional(),
  /** Who may validate, and with what stake. Empty: everybody who joins, all with equal stake. */
  validators: z
    .array(z.strictObject({ account: hash, stake: z.int().min(1).max(CORE_LIMITS.stake) }))
    .max(CORE_LIMITS.validators)
    .refine((list) => new Set(list.map(({ account }) => account)).size === list.length, 'an account is listed twice'),
});
export type Rules = z.infer<typeof RulesSchema>;
