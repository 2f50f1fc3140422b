// A batch of answers: whether the sums of its receipts can be, and what becomes of the money.
import type { AnswersSettled } from '../events/answers-settled.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { accountOf, type NetworkState } from '../state.ts';
import { creditLeft } from './credit.ts';
import { divideAmongHolders } from './holders.ts';

type Amounts = AnswersSettled['charges'];

/** Exact, however large the numbers of a wrong batch are. */
const sumOf = (amounts: Amounts): bigint => amounts.reduce((sum, [, micro]) => sum + BigInt(micro), 0n);

/** Whether this log knows a device: its owner has vouched for it, or it has taken part in a run. Only such a device can be paid. */
export const isKnownDevice = (state: NetworkState, device: string): boolean =>
  state.devices.has(device) || [...state.runs.values()].some(({ peers }) => peers.has(device));

/** Whether a batch may follow. What its receipts say, the core cannot know: who has the blob can (audit/answers.ts). */
export function refusalOfBatch(state: NetworkState, body: AnswersSettled): Refusal | null {
  const { number, charges, earnings, holders, gateway_micro, from_ms, until_ms, receipts } = body;
  const wrong = (message: string): Refusal => refuse('wrong-batch', message);
  if (number !== state.paid.batches) return wrong(`expected batch ${state.paid.batches}, got ${number}`);
  if (from_ms > until_ms || until_ms > state.time_ms) {
    return wrong(`expected times in order up to ${state.time_ms}, got ${from_ms} to ${until_ms}`);
  }
  if (charges.length > receipts || earnings.length > receipts || holders.length > receipts) {
    return wrong(`${receipts} receipts have at most as many callers, devices and runs`);
  }
  const charged = sumOf(charges);
  const given = sumOf(earnings) + sumOf(holders) + BigInt(gateway_micro);
  if (charged !== given) return wrong(`${charged} micro-credits are charged, ${given} are given`);
  for (const [account, micro] of charges) {
    const left_micro = creditLeft(state, account);
    if (micro > left_micro) {
      return refuse(
        'not-enough-credit',
        `account ${account} has ${left_micro} micro-credits left, is charged ${micro}`,
      );
    }
  }
  const stranger = earnings.find(([device]) => !isKnownDevice(state, device));
  if (stranger) return refuse('unknown-device', `no device ${stranger[0]} in this log`);
  const missing = holders.find(([run]) => !state.runs.has(run));
  return missing ? refuse('unknown-run', `no run ${missing[0]} in this log`) : null;
}

/** Moves the money; call it only after `refusalOfBatch` returned null. */
export function applyBatch(state: NetworkState, body: AnswersSettled): void {
  const { paid } = state;
  for (const [account, micro] of body.charges) {
    const { left_micro, grants } = paid.credits.get(account)!;
    paid.credits.set(account, { left_micro: left_micro - micro, grants });
    paid.charged_micro += micro;
  }
  for (const [device, micro] of body.earnings) earn(state, accountOf(state, device), micro);
  for (const [run, micro] of body.holders) {
    const pot_micro = (paid.pots.get(run) ?? 0) + micro;
    const parts = divideAmongHolders(state.runs.get(run)!, pot_micro);
    for (const [account, part_micro] of parts ?? []) earn(state, account, part_micro);
    paid.pots.set(run, parts ? 0 : pot_micro);
  }
  paid.gateway_micro += body.gateway_micro;
  paid.answers += body.receipts;
  paid.batches++;
}

function earn({ paid }: NetworkState, account: string, amount_micro: number): void {
  const { owed_micro, payments } = paid.earnings.get(account) ?? { owed_micro: 0, payments: 0 };
  paid.earnings.set(account, { owed_micro: owed_micro + amount_micro, payments });
}
