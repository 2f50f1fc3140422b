// An account may be served answers for so much.
import { z } from 'zod';
import { applyGrant, creditsText, refusalOfGrant } from '../serving/credit.ts';
import { moneyOfAccount, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** By the hub, whose answers the credit buys: somebody has paid it elsewhere, or was given it. `number` counts the account's grants. */
export const CreditGrantedSchema = z.strictObject({
  type: z.literal('credit.granted'),
  ...v1,
  ...moneyOfAccount,
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
