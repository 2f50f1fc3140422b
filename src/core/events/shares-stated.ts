// The hub states who holds what.
import { z } from 'zod';
import { count, hash } from '../../protocol/schemas.ts';
import { rememberHolders } from '../shares/lineage.ts';
import { refusalOfStatement } from '../shares/share-table.ts';
import { v2 } from './fields.ts';
import { runEvent } from './kind.ts';

/**
 * By the hub, once for every model that is kept whole, and for the last of a run that its owner has ended: who holds what, as the root of a Merkle tree (share-table.ts).
 * The core refuses any other statement than the true one, so a false one convicts the hub before every auditor.
 */
export const SharesStatedSchema = z.strictObject({
  type: z.literal('shares.stated'),
  ...v2,
  run: hash,
  merged_rounds: count,
  model: hash,
  /** How many rows the table has. */
  accounts: count,
  root: hash,
  /** The sums over all rows, and what nobody had earned. */
  shares: count,
  unearned_shares: count,
  amount: count,
});
export type SharesStated = z.infer<typeof SharesStatedSchema>;

export const sharesStated = runEvent(SharesStatedSchema, {
  by_hub: 'shares are stated',
  after_move: true,
  about: 'shares',
  words: ({ shares, merged_rounds, accounts }, _who, say) =>
    `the hub stated who holds the ${say.count(shares, 'share')} of ${say.count(merged_rounds, 'round')}: ${say.count(accounts, 'account')}`,
  refusalOf: (_state, run, { body }) => refusalOfStatement(run, body),
  apply(_state, run, { body: { merged_rounds } }) {
    run.stated_rounds = merged_rounds;
    // Only from a model that is kept whole can another run start.
    if (run.checkpoint.merged_rounds === merged_rounds) rememberHolders(run);
  },
});
