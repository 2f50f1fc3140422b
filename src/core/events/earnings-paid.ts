// What answers have earned is paid out elsewhere.
import { z } from 'zod';
import { applyPayment, creditsText, refusalOfPayment } from '../serving/credit.ts';
import { moneyOfAccount, v1 } from './fields.ts';
import { networkEvent } from './kind.ts';

/** By the hub: it has paid an account, and owes it so much less. `number` counts the account's payments. */
export const EarningsPaidSchema = z.strictObject({
  type: z.literal('earnings.paid'),
  ...v1,
  ...moneyOfAccount,
});
export type EarningsPaid = z.infer<typeof EarningsPaidSchema>;

export const earningsPaid = networkEvent(EarningsPaidSchema, {
  by_hub: 'earnings are paid',
  about: 'money',
  words: ({ account, amount_micro }, _who, say) =>
    `the hub said that it paid ${say.name(account)} ${creditsText(amount_micro)} elsewhere`,
  refusalOf: (state, { body }) => refusalOfPayment(state, body),
  apply: (state, { body }) => applyPayment(state, body),
});
