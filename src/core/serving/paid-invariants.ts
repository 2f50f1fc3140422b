// What must hold of the money of answers: every micro-credit that was granted is in exactly one place.
import type { NetworkState, Paid } from '../state.ts';

const isAmount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const total = (values: Iterable<number>): bigint => [...values].reduce((sum, value) => sum + BigInt(value), 0n);
const short = (id: string): string => id.slice(0, 8);

/** What is wrong with the money, in words. Takes time in proportion to the accounts. */
export function* paidProblems({ paid, runs }: NetworkState): Generator<string, void> {
  for (const [account, { left_micro, grants }] of paid.credits) {
    if (!isAmount(left_micro) || !isAmount(grants) || grants === 0)
      yield `${short(account)} has ${left_micro} micro-credits left of ${grants} grants`;
  }
  for (const [account, { owed_micro, payments }] of paid.earnings) {
    if (!isAmount(owed_micro) || !isAmount(payments))
      yield `${short(account)} is owed ${owed_micro} micro-credits after ${payments} payments`;
  }
  for (const [run, pot_micro] of paid.pots) {
    if (!isAmount(pot_micro) || !runs.has(run)) yield `the holders of run ${short(run)} wait for ${pot_micro}`;
  }
  const { granted_micro, charged_micro, paid_micro, gateway_micro, batches, answers } = paid;
  if (![granted_micro, charged_micro, paid_micro, gateway_micro, batches, answers].every(isAmount))
    yield `the sums of answers are ${sumsOf(paid)}`;
  const left = total([...paid.credits.values()].map(({ left_micro }) => left_micro));
  if (BigInt(granted_micro) !== left + BigInt(charged_micro))
    yield `${granted_micro} micro-credits were granted, ${left} are left and ${charged_micro} charged`;
  const owed = total([...paid.earnings.values()].map(({ owed_micro }) => owed_micro)) + total(paid.pots.values());
  if (BigInt(charged_micro) !== owed + BigInt(paid_micro) + BigInt(gateway_micro)) {
    const where = `${owed} are owed, ${paid_micro} paid and ${gateway_micro} the gateway's`;
    yield `${charged_micro} micro-credits were charged, ${where}`;
  }
  if (answers < batches) yield `${batches} batches have ${answers} answers`;
}

/** The sums as one text, of which two are compared. */
export const sumsOf = ({ granted_micro, charged_micro, paid_micro, gateway_micro, batches, answers }: Paid): string =>
  [granted_micro, charged_micro, paid_micro, gateway_micro, batches, answers].join(' ');
