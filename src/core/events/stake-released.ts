// Somebody asks for shares back that stand behind a validator.
import { z } from 'zod';
import { applyRelease, refusalOfRelease } from '../shares/stake.ts';
import { runEvent } from './kind.ts';
import { StakeLockedSchema } from './stake-locked.ts';

/** By the same: they count no more from the next opening of a round on, and are free after the notice of the rules. */
export const StakeReleasedSchema = StakeLockedSchema.extend({ type: z.literal('stake.released') });
export type StakeReleased = z.infer<typeof StakeReleasedSchema>;

export const stakeReleased = runEvent(StakeReleasedSchema, {
  about: 'shares',
  changes_balances: true,
  words: ({ shares, behind }, who, say) =>
    `${who} asked for ${say.whole(shares)} of its shares behind ${say.name(behind)} back`,
  refusalOf: (_state, run, { author, body }) => refusalOfRelease(run, author, body),
  apply: (_state, run, { author, body }) => applyRelease(run, author, body),
});
