// Somebody puts shares behind the verdicts of a validator.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { applyLock, refusalOfLock } from '../shares/stake.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By who holds shares of a run: so many of them, which nobody withholds, stand behind a validator that earns for it, from the
 * next opening of a round on. `change` counts the holder's locks and releases in this run from 0, so that none can be used again.
 */
export const StakeLockedSchema = z.strictObject({
  type: z.literal('stake.locked'),
  ...v1,
  run: hash,
  behind: hash,
  shares: z.int().min(1),
  change: count,
});
export type StakeLocked = z.infer<typeof StakeLockedSchema>;

export const stakeLocked = runEvent(StakeLockedSchema, {
  about: 'shares',
  changes_balances: true,
  words: ({ shares, behind }, who, say) =>
    `${who} put ${say.count(shares, 'share')} behind the verdicts of ${say.name(behind)}`,
  refusalOf: (state, run, { author, body }) => refusalOfLock(state, run, author, body),
  apply: (_state, run, { author, body }) => applyLock(run, author, body),
});
