// An account may be served answers for so much.
import { z } from 'zod';
import { count, hash, oneLine } from '../../protocol/schemas.ts';
import { CORE_LIMITS } from '../limits.ts';
import { applyGrant, creditsText, refusalOfGrant } from '../serving/credit.ts';
import { v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** An amount that moves: a grant, a charge, a payment. */
export const amount_micro = z.int().min(1).max(CORE_LIMITS.credit_micro);

/**
 * By the hub, whose answers the credit buys: somebody has paid it elsewhere, or was given it. `number` counts the account's grants from 0,
 * so that none can be used again.
 */
export const CreditGrantedSchema = z.strictObject({
  type: z.literal('credit.granted'),
  ...v1,
  account: hash,
  number: count,
  amount_micro,
  /** What it was paid with, in the hub's words; nobody checks it. */
  reference: oneLine(CORE_LIMITS.reference_characters).optional(),
});
export type CreditGranted = z.infer<typeof CreditGrantedSchema>;

export const creditGranted = networkEvent(CreditGrantedSchema, {
  by_hub: 'credit is granted',
  about: 'money',
  words: ({ account, amount_micro }, _who, say) =>
    `the hub granted ${say.name(account)} ${creditsText(amount_micro)} for answers`,
  refusalOf: (state, { body }) => refusalOfGrant(state, body),
  apply: (state, { body }) => applyGrant(state, body),
});
