// A pool whose answers are paid: with real keys, a real log in memory, and receipts in a file of their own.

import { createMemoryBlobStore } from '../../../ledger/blob-store.ts';
import { createMemoryLogStore } from '../../../ledger/testing/memory-log.ts';
import { type AnswerReceipt, openReceipt, RECEIPT_MINUTE_MS } from '../../../protocol/answer-receipt.ts';
import { bindingOf, hashOf, person } from '../../../protocol/testing/example-receipt.ts';
import { handClock } from '../../../protocol/testing/hand-clock.ts';
import { openSequencer } from '../../sequencer.ts';
import type { Ticket } from '../caller.ts';
import type { PaymentsOptions } from '../payments.ts';
import { mayEarn, openReceipts } from '../receipts.ts';
import { type FakeDevice, type Habits, type Place, PoolWorld } from './pool-world.ts';

export const HUB = person(1);
export const OWNER = person(3);
export const CALLER = hashOf('caller');
/** Two micro-credits a token read, five a token written. */
export const PRICES = { price_in: 2_000_000, price_out: 5_000_000 } as const;

let tickets = 0;
export const ticket = (account = CALLER): Ticket => ({
  ...{ account, request: hashOf(`ticket ${tickets++}`), salt: new Uint8Array(32).fill(tickets) },
});

/** Devices 10, 11, … are bound to one owner; the caller has so much credit. */
export async function paidWorld(credit_micro: number, more: Partial<PaymentsOptions> = {}) {
  const log = createMemoryLogStore();
  const sequencer = openSequencer(log, HUB);
  const grant = (amount_micro: number, number = 0) =>
    sequencer.write({ type: 'credit.granted', version: 1, account: CALLER, number, amount_micro });
  for (const device of Array.from({ length: 4 }, (_, i) => person(10 + i))) {
    await sequencer.submit(await bindingOf(OWNER, device));
  }
  await sequencer.write({ type: 'tick', version: 1, time_ms: 5 * RECEIPT_MINUTE_MS });
  if (credit_micro > 0) await grant(credit_micro);
  const problems: unknown[] = [];
  const onProblem = (error: unknown): void => void problems.push(error);
  const receipts = await openReceipts({
    ...{ path: ':memory:', identity: HUB, sequencer, log, clock: handClock(), onProblem },
    blobs: createMemoryBlobStore(),
  });
  const added: AnswerReceipt[] = [];
  const world = new PoolWorld({
    ...{ gateway: HUB.id, split: { holders_permille: 0, gateway_permille: 0 }, charges: true, onProblem },
    mayEarn: (peer) => mayEarn(sequencer.state, peer),
    receipts: {
      available: (account) => receipts.available(account),
      reserve: (account, most_micro) => receipts.reserve(account, most_micro),
      async add(...args) {
        const receipt = await receipts.add(...args);
        added.push(openReceipt(receipt.bytes));
        return receipt;
      },
    },
    ...more,
  });
  let seed = 10;
  const device = (habits: Partial<Habits> = {}, at?: Place): FakeDevice => {
    const identity = person(seed++);
    return world.device({ identity, offer: PRICES, ...habits }, identity.id, at);
  };
  return { world, device, receipts, sequencer, added, problems, grant };
}
