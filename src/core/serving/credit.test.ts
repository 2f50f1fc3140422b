// Credit and payments: counted, never more than there is, by the hub alone.
import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { type EventBody, EventBodySchema, kindOfEvent } from '../events.ts';
import { CORE_LIMITS } from '../limits.ts';
import { ALICE, BOB, History, HUB, name, OWNER } from '../testing/example-history.ts';
import { creditLeft, creditsText, earnedBy } from './credit.ts';

const CALLER = name('c');
let h: History;
beforeEach(() => {
  h = new History();
});

const granted = (number: number, amount_micro: number, account = CALLER): EventBody => ({
  ...{ type: 'credit.granted', version: 1, account, number, amount_micro },
});
const paid = (number: number, amount_micro: number, account = OWNER): EventBody => ({
  ...{ type: 'earnings.paid', version: 1, account, number, amount_micro },
});

describe('credit', () => {
  test('is granted by the hub alone', () => {
    h.refused('not-the-hub', CALLER, granted(0, 5));
    h.happen(HUB, granted(0, 5));
    assert.equal(creditLeft(h.state, CALLER), 5);
    assert.equal(creditLeft(h.state, OWNER), 0);
  });

  test('a grant cannot be used again: each carries its number among those of its account', () => {
    h.happen(HUB, granted(0, 5));
    h.refused('wrong-grant', HUB, granted(0, 5));
    h.refused('wrong-grant', HUB, granted(2, 5));
    h.happen(HUB, granted(1, 7));
    h.happen(HUB, granted(0, 1, OWNER));
    assert.deepEqual([creditLeft(h.state, CALLER), creditLeft(h.state, OWNER)], [12, 1]);
  });

  test('is not granted beyond what sums can hold, over all accounts together', () => {
    h.happen(HUB, granted(0, CORE_LIMITS.credit_micro - 1));
    h.refused('wrong-grant', HUB, granted(0, 2, OWNER));
    h.happen(HUB, granted(0, 1, OWNER));
    h.refused('wrong-grant', HUB, granted(1, 1, OWNER));
  });
});

describe('a payment', () => {
  /** The owner has earned 40 with a device of its own. */
  const earn = (): void => {
    h.openRound(false);
    h.happen(HUB, granted(0, 100));
    h.happen(HUB, {
      ...{ type: 'answers.settled', version: 1, number: 0, root: name('1'), receipts: 1, blob: name('2') },
      ...{ charges: [[CALLER, 60]], earnings: [[ALICE, 40]], holders: [], gateway_micro: 20, from_ms: 0, until_ms: 0 },
    });
  };

  test('is by the hub, in order, and never of more than was earned', () => {
    earn();
    h.refused('not-the-hub', ALICE, paid(0, 1, ALICE));
    h.refused('not-enough-earned', HUB, paid(0, 41, ALICE));
    h.refused('not-enough-earned', HUB, paid(0, 1, BOB));
    h.happen(HUB, paid(0, 39, ALICE));
    h.refused('wrong-payment', HUB, paid(0, 1, ALICE));
    h.refused('not-enough-earned', HUB, paid(1, 2, ALICE));
    h.happen(HUB, paid(1, 1, ALICE));
    assert.equal(earnedBy(h.state, ALICE), 0);
    assert.equal(h.state.paid.paid_micro, 40);
  });
});

test('people read of credits, not of micro-credits', () => {
  const texts = [0, 1, 250_000, 1_000_000, 12_345_678].map(creditsText);
  assert.deepEqual(texts, ['0 credits', '0.000001 credits', '0.25 credits', '1 credit', '12.345678 credits']);
  const say = { name: (key: string) => key.slice(0, 2), count: (n: number, what: string) => `${n} ${what}` };
  const words = (body: EventBody) =>
    kindOfEvent(body.type).words(body, 'x', say as unknown as Parameters<ReturnType<typeof kindOfEvent>['words']>[2]);
  assert.equal(words(granted(0, 250_000)), 'the hub granted cc 0.25 credits for answers');
  assert.equal(words(paid(0, 1_000_000)), 'the hub said that it paid 11 1 credit elsewhere');
});

test('no amount is nothing, half or below nothing', () => {
  for (const amount_micro of [0, -1, 0.5, CORE_LIMITS.credit_micro + 1]) {
    assert.equal(EventBodySchema.safeParse(granted(0, amount_micro)).success, false);
    assert.equal(EventBodySchema.safeParse(paid(0, amount_micro)).success, false);
  }
  assert.ok(EventBodySchema.safeParse(granted(0, 1)).success);
});
