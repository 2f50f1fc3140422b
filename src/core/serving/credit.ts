// Credit that callers have prepaid, and earnings that are paid out: what comes into the books of answers, and what leaves them.
import type { CreditGranted } from '../events/credit-granted.ts';
import type { EarningsPaid } from '../events/earnings-paid.ts';
import { CORE_LIMITS } from '../limits.ts';
import { type Refusal, refuse } from '../refusal.ts';
import type { NetworkState } from '../state.ts';

const MICRO = 1_000_000;

/** Micro-credits as people read them: "0.25 credits". */
export function creditsText(amount_micro: number): string {
  const rest = String(amount_micro % MICRO)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const text = `${Math.floor(amount_micro / MICRO)}${rest && `.${rest}`}`;
  return `${text} ${text === '1' ? 'credit' : 'credits'}`;
}

/** The number that an account's next grant must carry. */
export const nextGrant = ({ paid }: NetworkState, account: string): number => paid.credits.get(account)?.grants ?? 0;

/** The number that an account's next payment must carry. */
export const nextPayment = ({ paid }: NetworkState, account: string): number =>
  paid.earnings.get(account)?.payments ?? 0;

/** The credit that an account has left, in micro-credits. */
export const creditLeft = ({ paid }: NetworkState, account: string): number =>
  paid.credits.get(account)?.left_micro ?? 0;

/** What an account has earned and was not paid, in micro-credits. */
export const earnedBy = ({ paid }: NetworkState, account: string): number =>
  paid.earnings.get(account)?.owed_micro ?? 0;

export function refusalOfGrant(state: NetworkState, { account, number, amount_micro }: CreditGranted): Refusal | null {
  const expected = nextGrant(state, account);
  if (number !== expected) {
    return refuse('wrong-grant', `expected grant ${expected} of account ${account}, got ${number}`);
  }
  const most_micro = CORE_LIMITS.credit_micro - state.paid.granted_micro;
  if (amount_micro <= most_micro) return null;
  return refuse('wrong-grant', `${most_micro} micro-credits can still be counted here, got ${amount_micro}`);
}

export function applyGrant({ paid }: NetworkState, { account, amount_micro }: CreditGranted): void {
  const { left_micro, grants } = paid.credits.get(account) ?? { left_micro: 0, grants: 0 };
  paid.credits.set(account, { left_micro: left_micro + amount_micro, grants: grants + 1 });
  paid.granted_micro += amount_micro;
}

export function refusalOfPayment(state: NetworkState, { account, number, amount_micro }: EarningsPaid): Refusal | null {
  const expected = nextPayment(state, account);
  if (number !== expected) {
    return refuse('wrong-payment', `expected payment ${expected} of account ${account}, got ${number}`);
  }
  const owed_micro = earnedBy(state, account);
  if (amount_micro <= owed_micro) return null;
  return refuse('not-enough-earned', `account ${account} is owed ${owed_micro} micro-credits, got ${amount_micro}`);
}

export function applyPayment({ paid }: NetworkState, { account, amount_micro }: EarningsPaid): void {
  const { owed_micro, payments } = paid.earnings.get(account)!;
  paid.earnings.set(account, { owed_micro: owed_micro - amount_micro, payments: payments + 1 });
  paid.paid_micro += amount_micro;
}
