// A batch follows from its receipts and nothing else: root, sums and times; a receipt in it is proven with a few hashes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { AnswerReceipt } from '../../protocol/answer-receipt.ts';
import { openReceipt } from '../../protocol/answer-receipt.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { encodeStrict } from '../../protocol/strict-cbor-encode.ts';
import { exampleReceipt, hashOf, person } from '../../protocol/testing/example-receipt.ts';
import { AnswersSettledSchema } from '../events/answers-settled.ts';
import { CORE_LIMITS } from '../limits.ts';
import { BATCH_BLOB_BYTES, Batch, openProven, problemOfBatch, receiptProof, receiptsIn } from './batch.ts';

const [one, two, gateway] = [1, 2, 3].map(person);
const MINUTE_MS = 60_000;

const receipts = (): Promise<AnswerReceipt[]> =>
  Promise.all([
    exampleReceipt(one, gateway, { request: hashOf('a'), time_ms: 3 * MINUTE_MS }),
    exampleReceipt(two, gateway, { request: hashOf('b'), caller: hashOf('other'), time_ms: 2 * MINUTE_MS }),
    exampleReceipt(one, gateway, { request: hashOf('c'), run: null, holders_micro: 0, time_ms: 9 * MINUTE_MS }),
    exampleReceipt(two, gateway, { request: hashOf('c'), part: 1, time_ms: 9 * MINUTE_MS }),
    exampleReceipt(two, gateway, { request: hashOf('free'), earns_micro: 0, holders_micro: 0, gateway_micro: 0 }),
  ]);

const batchOf = (list: readonly AnswerReceipt[]): Batch => {
  const batch = new Batch();
  for (const receipt of list) assert.ok(batch.add(receipt));
  return batch;
};
const inOrder = (rows: [string, number][]): [string, number][] => rows.sort(([a], [b]) => (a < b ? -1 : 1));

test('a batch sums by caller, device and run, in order of id, without rows of nothing', async () => {
  const list = await receipts();
  const { body, blob } = batchOf(list).settle(7);
  assert.deepEqual(AnswersSettledSchema.parse(body), body);
  assert.deepEqual(
    body.charges,
    inOrder([
      [hashOf('caller'), 290],
      [hashOf('other'), 100],
    ]),
  );
  assert.deepEqual(
    body.earnings,
    inOrder([
      [one.id, 140],
      [two.id, 140],
    ]),
  );
  assert.deepEqual(body.holders, [[hashOf('run'), 30]]);
  const { number, gateway_micro, from_ms, until_ms } = body;
  assert.deepEqual([number, gateway_micro, body.receipts, from_ms, until_ms], [7, 80, 5, 0, 9 * MINUTE_MS]);
  assert.deepEqual(
    receiptsIn(blob),
    list.map(({ bytes }) => bytes),
  );
  assert.equal(
    problemOfBatch(
      body,
      receiptsIn(blob).map((bytes) => openReceipt(bytes)),
    ),
    null,
  );
});

test('every other word about a batch is told', async () => {
  const list = await receipts();
  const { body } = batchOf(list).settle(0);
  const told = (change: Partial<typeof body>, what: RegExp): void =>
    assert.match(problemOfBatch({ ...body, ...change }, list) ?? 'nothing', what);
  told({ root: hashOf('x') }, /^root/);
  told({ blob: hashOf('x') }, /^blob/);
  told({ receipts: 4 }, /^receipts/);
  told({ charges: body.charges.slice(1) }, /^charges/);
  told({ earnings: body.earnings.map(([id], i) => [id, i === 0 ? 141 : 139]) }, /^earnings/);
  told({ holders: [] }, /^holders/);
  told({ gateway_micro: 81 }, /^gateway_micro/);
  told({ from_ms: 1 }, /^from_ms/);
  told({ until_ms: 1 }, /^until_ms/);
  // Another order of the same receipts is another batch.
  assert.match(problemOfBatch(body, [...list].reverse())!, /^root/);
  assert.match(problemOfBatch(body, [])!, /no receipt/);
});

test('a part of an answer is in a batch once, whatever else is different', async () => {
  const first = await exampleReceipt(one, gateway, { request: hashOf('a') });
  const again = await exampleReceipt(two, gateway, { request: hashOf('a'), caller: hashOf('other') });
  const next = await exampleReceipt(two, gateway, { request: hashOf('a'), part: 1 });
  assert.match(problemOfBatch(batchOf([first, again]).settle(0).body, [first, again])!, /another receipt of the batch/);
  const { body } = batchOf([first, next]).settle(0);
  assert.equal(problemOfBatch(body, [first, next]), null);
  assert.deepEqual([body.from_ms, body.until_ms], [0, 0]);
});

test('any receipt is proven by a few hashes, at its place alone', async () => {
  const list = await receipts();
  const { body } = batchOf(list).settle(0);
  const bytes = list.map((receipt) => receipt.bytes);
  fc.assert(
    fc.property(fc.nat(list.length - 1), fc.nat(list.length), fc.nat(list.length - 1), (index, place, other) => {
      const proof = receiptProof(bytes, index);
      const opened = openProven(body, bytes[other], place, proof);
      if (place === index && other === index) assert.deepEqual(opened, list[index]);
      else assert.equal(opened, null);
    }),
  );
  assert.equal(openProven({ ...body, root: hashOf('x') }, bytes[0], 0, receiptProof(bytes, 0)), null);
});

test('a batch takes no more callers, devices, runs and receipts than its event has room for', async () => {
  const receipt = await exampleReceipt(one, gateway);
  const takes = (most: number, field: 'caller' | 'device' | 'run', amount: 'earns_micro' | 'holders_micro' | null) => {
    const batch = new Batch();
    for (let i = 0; i < most; i++) assert.ok(batch.add({ ...receipt, [field]: hashOf(`${i}`) }));
    assert.equal(batch.add({ ...receipt, [field]: hashOf('one more') }), false);
    assert.equal(batch.size, most);
    // Who is there already has a row, and nothing needs none.
    assert.ok(batch.add({ ...receipt, [field]: hashOf('0') }));
    if (amount) assert.ok(batch.add({ ...receipt, [field]: hashOf('one more'), [amount]: 0 }));
  };
  takes(CORE_LIMITS.batch_callers, 'caller', null);
  takes(CORE_LIMITS.batch_devices, 'device', 'earns_micro');
  takes(CORE_LIMITS.batch_runs, 'run', 'holders_micro');
  const batch = new Batch();
  for (let i = 0; i < CORE_LIMITS.batch_receipts; i++) assert.ok(batch.add(receipt));
  assert.equal(batch.add(receipt), false);
});

test('what is no batch is refused before anything is opened', () => {
  for (const [bytes, code] of [
    [new Uint8Array(BATCH_BLOB_BYTES + 1), 'too-large'],
    [encodeStrict(['text']), 'malformed'],
    [encodeStrict({ list: [] }), 'malformed'],
    [Uint8Array.of(0x81), 'malformed'],
  ] as const) {
    assert.throws(() => receiptsIn(bytes), { code });
  }
  assert.throws(() => openReceipt(receiptsIn(encodeStrict([new Uint8Array(9)]))[0]), ProtocolError);
});
