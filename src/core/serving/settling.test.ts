// A batch of answers: its sums agree, nobody pays more than the credit, only devices of this log earn, and all of it lands somewhere.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { MAX_EVENT_BYTES, signEvent } from '../../protocol/envelope.ts';
import { createIdentity } from '../../protocol/identity.ts';
import { bindDevice } from '../devices.ts';
import { type AnswersSettled, AnswersSettledSchema } from '../events/answers-settled.ts';
import type { EventBody } from '../events.ts';
import { CORE_LIMITS } from '../limits.ts';
import { ALICE, BOB, History, HUB, name, OWNER, RUN, VERA } from '../testing/example-history.ts';
import { creditLeft, earnedBy } from './credit.ts';

const [CALLER, OTHER, STRANGER] = ['c', 'd', '9'].map(name);
/** The owner of alice's device in some of the tests. */
const EVE = name('8');

/** 100 by one caller: 70 to alice's device, 30 to the gateway. */
const settled = (more: Partial<AnswersSettled> = {}): AnswersSettled => ({
  ...{ type: 'answers.settled', version: 1, number: 0, root: name('1'), receipts: 5, blob: name('2') },
  ...{ charges: [[CALLER, 100]], earnings: [[ALICE, 70]], holders: [], gateway_micro: 30, from_ms: 0, until_ms: 900 },
  ...more,
});
const granted = (account: string, amount_micro: number): EventBody => ({
  ...{ type: 'credit.granted', version: 1, account, number: 0, amount_micro },
});

let h: History;
/** A run is open at 1000; the caller has 150 micro-credits, the other 10. */
beforeEach(() => {
  h = new History();
  h.openRound(true, { rounds: 9 });
  h.happen(HUB, granted(CALLER, 150));
  h.happen(HUB, granted(OTHER, 10));
});

describe('a batch', () => {
  test('moves what callers pay to devices and gateway', () => {
    h.happen(HUB, settled());
    assert.deepEqual([creditLeft(h.state, CALLER), earnedBy(h.state, ALICE)], [50, 70]);
    const { gateway_micro, charged_micro, batches, answers } = h.state.paid;
    assert.deepEqual([gateway_micro, charged_micro, batches, answers], [30, 100, 1, 5]);
  });

  test('is settled by the hub alone, and once', () => {
    h.refused('not-the-hub', OWNER, settled());
    h.refused('wrong-batch', HUB, settled({ number: 1 }));
    h.happen(HUB, settled());
    h.refused('wrong-batch', HUB, settled());
    h.happen(HUB, settled({ number: 1, charges: [[CALLER, 50]], earnings: [[ALICE, 20]] }));
  });

  test('gives what it charges: not more, and nothing is lost', () => {
    h.refused('wrong-batch', HUB, settled({ gateway_micro: 31 }));
    h.refused('wrong-batch', HUB, settled({ gateway_micro: 29 }));
    h.refused('wrong-batch', HUB, settled({ earnings: [[ALICE, 71]] }));
    h.refused('wrong-batch', HUB, settled({ holders: [[RUN, 1]] }));
    h.refused('wrong-batch', HUB, settled({ charges: [] }));
  });

  test('is summed exactly, however large the numbers of a wrong one are', () => {
    const most = CORE_LIMITS.credit_micro;
    // In doubles 2^52 + 2^52 + 1 is 2^53, and the difference could not be seen.
    const charges: AnswersSettled['charges'] = [[CALLER, most], [OTHER, most], [VERA, 1]]; // biome-ignore format: one line
    const earnings: AnswersSettled['earnings'] = [[ALICE, most], [BOB, most]]; // biome-ignore format: one line
    h.refused('wrong-batch', HUB, settled({ charges, earnings, gateway_micro: 0 }));
  });

  test('never takes more than the credit, also not of an account without any', () => {
    h.refused('not-enough-credit', HUB, settled({ charges: [[CALLER, 151]], gateway_micro: 81 }));
    h.refused('not-enough-credit', HUB, settled({ charges: [[STRANGER, 100]] }));
    // What one has does not pay for another.
    const charges: AnswersSettled['charges'] = [
      [CALLER, 100],
      [OTHER, 11],
    ];
    h.refused('not-enough-credit', HUB, settled({ charges, gateway_micro: 41 }));
    h.happen(HUB, settled({ charges: [[CALLER, 150]], gateway_micro: 80 }));
    h.refused('not-enough-credit', HUB, settled({ number: 1, charges: [[CALLER, 100]] }));
  });

  test('pays devices that have taken part here or are vouched for, and no others', () => {
    h.refused('unknown-device', HUB, settled({ earnings: [[STRANGER, 70]] }));
    bindDevice(h.state, STRANGER, { owner: EVE, expires_ms: 9000 });
    h.happen(HUB, settled({ earnings: [[STRANGER, 70]] }));
    assert.deepEqual([earnedBy(h.state, EVE), earnedBy(h.state, STRANGER)], [70, 0]);
  });

  test("pays a device's owner as it is at that moment; what was earned before stays where it is", () => {
    h.happen(HUB, settled({ charges: [[CALLER, 60]], earnings: [[ALICE, 30]] }));
    bindDevice(h.state, ALICE, { owner: EVE, expires_ms: 9000 });
    h.happen(HUB, settled({ number: 1, charges: [[CALLER, 60]], earnings: [[ALICE, 30]] }));
    assert.deepEqual([earnedBy(h.state, EVE), earnedBy(h.state, ALICE)], [30, 30]);
  });

  test('two devices of one owner earn for one account', () => {
    for (const device of [ALICE, BOB]) bindDevice(h.state, device, { owner: EVE, expires_ms: 9000 });
    const earnings: AnswersSettled['earnings'] = [
      [ALICE, 20],
      [BOB, 50],
    ];
    h.happen(HUB, settled({ earnings }));
    assert.equal(earnedBy(h.state, EVE), 70);
  });

  test('is of answers that were, in a span of time', () => {
    h.refused('wrong-batch', HUB, settled({ from_ms: 901 }));
    h.refused('wrong-batch', HUB, settled({ until_ms: 1001 }));
    h.happen(HUB, settled({ from_ms: 1000, until_ms: 1000 }));
  });

  test('has at least as many receipts as callers, devices and runs', () => {
    const charges: AnswersSettled['charges'] = [
      [CALLER, 90],
      [OTHER, 10],
    ];
    h.refused('wrong-batch', HUB, settled({ charges, receipts: 1 }));
    h.refused('wrong-batch', HUB, settled({ receipts: 1, earnings: [[ALICE, 69], [BOB, 1]] })); // biome-ignore format: one line
    h.refused('wrong-batch', HUB, settled({ receipts: 1, holders: [[RUN, 1], [STRANGER, 1]].sort() as AnswersSettled['holders'], gateway_micro: 28 })); // biome-ignore format: one line
    h.happen(HUB, settled({ charges, receipts: 2 }));
  });

  test('names only runs of this log', () => {
    h.refused('unknown-run', HUB, settled({ holders: [[STRANGER, 10]], gateway_micro: 20 }));
  });
});

describe('the form of a batch', () => {
  const has = (more: Partial<Record<keyof AnswersSettled, unknown>>): boolean =>
    AnswersSettledSchema.safeParse({ ...settled(), ...more }).success;

  test('has each id once, in order, with an amount above nothing', () => {
    assert.ok(has({}));
    for (const rows of ['charges', 'earnings', 'holders'] as const) {
      assert.ok(has({ [rows]: [[ALICE, 1], [BOB, 2]] })); // biome-ignore format: one line
      assert.equal(has({ [rows]: [[ALICE, 1], [ALICE, 2]] }), false); // biome-ignore format: one line
      assert.equal(has({ [rows]: [[BOB, 1], [ALICE, 2]] }), false); // biome-ignore format: one line
      for (const micro of [0, -1, 0.5, 2 ** 53]) assert.equal(has({ [rows]: [[ALICE, micro]] }), false);
    }
    for (const receipts of [0, CORE_LIMITS.batch_receipts + 1]) assert.equal(has({ receipts }), false);
    for (const gateway_micro of [-1, 0.5]) assert.equal(has({ gateway_micro }), false);
  });

  test('fits into an event where it is as long as may be', async () => {
    const rows = (count: number) =>
      Array.from({ length: count }, (_, i): [string, number] => [i.toString(16).padStart(64, '0'), 2 ** 40]);
    const most = settled({
      ...{ charges: rows(CORE_LIMITS.batch_callers), earnings: rows(CORE_LIMITS.batch_devices) },
      ...{ holders: rows(CORE_LIMITS.batch_runs), receipts: CORE_LIMITS.batch_receipts, number: 2 ** 40 },
      ...{ from_ms: 2 ** 42, until_ms: 2 ** 42, gateway_micro: 2 ** 50 },
    });
    assert.ok(AnswersSettledSchema.safeParse(most).success);
    assert.ok((await signEvent(createIdentity(), most)).length < MAX_EVENT_BYTES);
    assert.equal(has({ charges: rows(CORE_LIMITS.batch_callers + 1) }), false);
  });
});

test('a device that was revoked is paid as before: what its owner has earned is the owner’s', () => {
  bindDevice(h.state, ALICE, { owner: EVE, expires_ms: 9000 });
  h.happen(EVE, { type: 'device.revoked', version: 1, device: ALICE });
  h.happen(HUB, settled());
  assert.equal(earnedBy(h.state, EVE), 70);
});
