// What an account is told of its money: every movement that changed it and no other, and sums that are those of the state.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apply } from '../core/reduce.ts';
import { Batch } from '../core/serving/batch.ts';
import { initialState } from '../core/state.ts';
import { openCast } from '../core/testing/cast.ts';
import { drawEvents } from '../core/testing/drawn-events.ts';
import { exampleReceipt, hashOf } from '../protocol/testing/example-receipt.ts';
import { MoneyBook, moneyOf } from './money.ts';
import { ExampleLog, publicLogOf, SETTINGS } from './testing/example-log.ts';

test('a log says what an account was granted, charged, has earned and was paid', async () => {
  const example = new ExampleLog();
  await example.begin();
  const { hub, run, workers } = example;
  const caller = hashOf('caller');
  const device = workers[0].identity;
  await example.add(hub, {
    ...{ type: 'credit.granted', version: 1, account: caller, number: 0, amount_micro: 500, reference: 'a card' },
  });
  await example.add(hub, { type: 'credit.granted', version: 1, account: hashOf('other'), number: 0, amount_micro: 7 });
  const batch = new Batch();
  for (const request of [hashOf('a'), hashOf('b')])
    batch.add(await exampleReceipt(device, hub, { request, caller, run, model: SETTINGS }));
  await example.add(hub, batch.settle(0).body);
  await example.add(hub, { type: 'earnings.paid', version: 1, account: device.id, number: 0, amount_micro: 100 });
  await example.add(hub, { type: 'answers.judged', version: 1, number: 0, devices: [[device.id, 3, 0]] });
  await example.add(hub, { type: 'answers.judged', version: 1, number: 1, devices: [[device.id, 4, 1]] });
  const log = await publicLogOf(example.log);
  const { movements, ...sums } = await moneyOf(log, caller);
  assert.deepEqual(sums, {
    ...{ account: caller, left_micro: 300, owed_micro: 0, granted_micro: 500, charged_micro: 200 },
    ...{ earned_micro: 0, paid_micro: 0, accepted_parts: 0, refused_parts: 0 },
  });
  assert.deepEqual(
    movements.map(({ type, credit_micro, batch, reference }) => [type, credit_micro, batch, reference]),
    [
      ['credit.granted', 500, null, 'a card'],
      ['answers.settled', -200, 0, null],
    ],
  );
  const earned = await moneyOf(log, device.id);
  assert.deepEqual([earned.owed_micro, earned.earned_micro, earned.paid_micro], [40, 140, 100]);
  assert.deepEqual([earned.accepted_parts, earned.refused_parts], [7, 1]);
  assert.deepEqual(
    earned.movements.map(({ entry, earned_micro }) => [example.entries[entry].event.body.type, earned_micro]),
    [
      ['answers.settled', 140],
      ['earnings.paid', -100],
    ],
  );
  assert.deepEqual((await moneyOf(log, hashOf('nobody'))).movements, []);
});

test('whatever happens: all movements of an account together are what it has', async () => {
  const cast = await openCast();
  for (let seed = 1; seed <= 3; seed++) {
    const state = initialState(cast.hub);
    const next = drawEvents(cast, state, seed);
    const books = new Map<string, MoneyBook>();
    const accounts = [...cast.owners, ...cast.devices];
    for (const account of accounts) books.set(account, new MoneyBook(account));
    for (let i = 0; i < 300; i++) {
      const event = next();
      for (const book of books.values()) book.before(event, i, state);
      if (apply(state, event) === null) for (const book of books.values()) book.after(event, i, state);
    }
    for (const [account, book] of books) {
      const { granted_micro, charged_micro, earned_micro, paid_micro } = book.sums();
      assert.equal(granted_micro - charged_micro, state.paid.credits.get(account)?.left_micro ?? 0);
      assert.equal(earned_micro - paid_micro, state.paid.earnings.get(account)?.owed_micro ?? 0);
    }
    assert.ok([...books.values()].some((book) => book.sums().earned_micro > 0));
  }
});
