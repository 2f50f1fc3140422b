// The owner pays out elsewhere what holders may claim.
import { z } from 'zod';
import { count, hash, oneLine } from '../../protocol/schemas.ts';
import { CORE_LIMITS } from '../limits.ts';
import { applySettlement, refusalOfSettlement } from '../shares/settlement.ts';
import { v1 } from './fields.ts';
import { runEvent } from './kind.ts';

/** How balances become a Merkle tree for a contract elsewhere (settlement.ts). */
export const SETTLEMENT_FORMATS = ['merkle-distributor', 'standard-merkle-tree'] as const;
export type SettlementFormat = (typeof SETTLEMENT_FORMATS)[number];

/**
 * By the run's owner: the free shares of all holders with an address, as they were in a log of `log_size` events and still are,
 * are paid out elsewhere. The core refuses any other root and total than the true ones. `settlement` counts them from 0.
 */
export const PayoutSettledSchema = z.strictObject({
  type: z.literal('payout.settled'),
  ...v1,
  run: hash,
  settlement: count,
  log_size: count,
  format: z.enum(SETTLEMENT_FORMATS),
  root: z.string().regex(/^0x[0-9a-f]{64}$/, 'expected 0x and 64 lower-case hexadecimal digits'),
  total: z.int().min(1),
  /** Where it was paid, in the owner's words; nobody checks it. */
  reference: oneLine(CORE_LIMITS.reference_characters).optional(),
});
export type PayoutSettled = z.infer<typeof PayoutSettledSchema>;

export const payoutSettled = runEvent(PayoutSettledSchema, {
  about: 'shares',
  changes_balances: true,
  words: ({ total }, who, say) => `${who} said that ${say.count(total, 'share')} were paid out elsewhere`,
  refusalOf: (state, run, { author, body }) => refusalOfSettlement(state, run, author, body),
  apply: (state, run) => applySettlement(state, run),
});
