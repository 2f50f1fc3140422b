// What a hub may say of answers that its receipts do not: every such word is found by whoever has the blob, and none where all is true.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswersSettled } from '../core/events/answers-settled.ts';
import { Batch, receiptsIn } from '../core/serving/batch.ts';
import type { AnswerReceipt } from '../protocol/answer-receipt.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { encodeStrict } from '../protocol/strict-cbor-encode.ts';
import { exampleReceipt, hashOf, person, type ReceiptWishes } from '../protocol/testing/example-receipt.ts';
import { AnswersCheck } from './answers.ts';
import { auditWith } from './audit.ts';
import { inlinePool } from './pool.ts';
import { AuditFailure } from './public-log.ts';
import { ExampleLog, publicLogOf, SETTINGS } from './testing/example-log.ts';
import { move } from './testing/moved-log.ts';

const CALLER = hashOf('caller');
const example = new ExampleLog();
await example.begin();
const { hub, run } = example;
await example.add(hub, { type: 'credit.granted', version: 1, account: CALLER, number: 0, amount_micro: 10 ** 9 });
const blobs = new Map<string, Uint8Array>();

let requests = 0;
/** A receipt of the run's own model by one of its workers. */
const receipt = (wishes: ReceiptWishes = {}, worker = 0, gateway = hub): Promise<AnswerReceipt> =>
  exampleReceipt(example.workers[worker].identity, gateway, {
    ...{ request: hashOf(`request ${requests++}`), caller: CALLER, run, model: SETTINGS, ...wishes },
  });

/** What a hub says of receipts, which it keeps. */
function said(receipts: readonly AnswerReceipt[], change: Partial<AnswersSettled> = {}): AnswersSettled {
  const batch = new Batch();
  for (const one of receipts) assert.ok(batch.add(one));
  const { body, blob } = batch.settle(example.state.paid.batches);
  blobs.set(body.blob, blob);
  return { ...body, ...change };
}

const event = (body: AnswersSettled) => ({ id: hashOf('event'), author: hub.id, body });

/** A check that has seen the run begin. */
async function checker(): Promise<AnswersCheck> {
  const check = new AnswersCheck(hub.id, { blob: async (hash) => blobs.get(hash) ?? null });
  for (const [index, { event }] of example.entries.entries()) await check.after(event, index, example.state);
  return check;
}

async function isWrong(body: AnswersSettled, message: RegExp, check?: AnswersCheck): Promise<void> {
  const asked = check ?? (await checker());
  const found: unknown = await asked.after(event(body), 99, example.state)!.catch((error) => error);
  assert.ok(found instanceof AuditFailure, `expected ${message}, got ${found}`);
  assert.deepEqual([found.code, found.details.index], ['wrong-answers', 99]);
  assert.match(found.message, message);
}

test('true batches are counted, and what was charged', async () => {
  const check = await checker();
  await check.after(event(said([await receipt(), await receipt({}, 1)])), 99, example.state);
  await check.after(event(said([await receipt({ earns_micro: 71 })])), 100, example.state);
  await check.after(
    event(said([await receipt({ run: null, model: hashOf('other'), holders_micro: 0 })])),
    101,
    example.state,
  );
  assert.deepEqual(check.report, { batches: 3, receipts: 4, charged_micro: 391, unchecked_batches: 0 });
  assert.deepEqual(check.unchecked(), []);
});

test('sums that the receipts do not give are untrue', async () => {
  const list = [await receipt(), await receipt({}, 1)];
  const body = said(list);
  await isWrong({ ...body, gateway_micro: 41, charges: [[CALLER, 201]] }, /^batch \d+: charges/);
  await isWrong({ ...body, earnings: [body.earnings[0]], gateway_micro: 110 }, /earnings/);
  await isWrong({ ...body, earnings: body.earnings.map(([id], i) => [id, 70 + (i === 0 ? 1 : -1)]) }, /earnings/);
  await isWrong({ ...body, holders: [[hashOf('another run'), 20]] }, /holders/);
  await isWrong({ ...body, root: hashOf('root') }, /root/);
  await isWrong({ ...body, receipts: 3 }, /receipts/);
  await isWrong({ ...body, until_ms: body.until_ms + 60_000 }, /until_ms/);
});

test('a receipt is settled once: not in two batches, and not twice in one', async () => {
  const one = await receipt();
  const check = await checker();
  await check.after(event(said([one, await receipt()])), 99, example.state);
  await isWrong(said([await receipt(), one]), /receipt 1: an earlier batch has paid for the same part/, check);
  await isWrong(said([one, one]), /another receipt of the batch/);
  // Signed anew for another caller, at another price, by another device: it is the same answer.
  const { request } = one;
  await isWrong(said([await receipt({ request, earns_micro: 1 }, 1)]), /an earlier batch has paid/, check);
  // The next part of the same answer is another.
  await check.after(event(said([await receipt({ request, part: 1 })])), 100, example.state);
});

test('a run that came from another log has the models that it brought, and no others', async () => {
  const first = new ExampleLog();
  await first.begin();
  await first.playRound();
  const { model } = first.open;
  const second = new ExampleLog(3, first);
  await move(first, second);
  const check = new AnswersCheck(second.hub.id, { blob: async (hash) => blobs.get(hash) ?? null });
  for (const [index, one] of second.entries.entries()) await check.after(one.event, index, second.state);
  const [worker] = second.workers;
  const of = (wishes: ReceiptWishes) =>
    exampleReceipt(worker.identity, second.hub, {
      ...{ request: hashOf(`request ${requests++}`), caller: CALLER, run: second.run, model, ...wishes },
    });
  await check.after(event(said([await of({}), await of({ model: SETTINGS })])), 99, second.state);
  assert.equal(check.report.receipts, 2);
  await isWrong(said([await of({ model: hashOf('stranger') })]), /has never had the model/, check);
});

test('a receipt by nobody, for another hub, or of a model that the run never had is untrue', async () => {
  const elsewhere = await receipt({}, 0, person(9) as typeof hub);
  await isWrong(said([elsewhere]), /it is of the gateway/);
  await isWrong(said([await receipt({ model: hashOf('stranger') })]), /has never had the model/);
  await isWrong(said([await receipt({ run: hashOf('no run') })]), /has never had the model/);
  const honest = await receipt();
  const body = said([honest]);
  const forged = honest.bytes.slice();
  forged[forged.length - 1] ^= 1;
  for (const [list, what] of [
    [[forged], /receipt 0: the signature/],
    [['text'], /expected a list of receipts/],
    [[], /no receipt/],
  ] as const) {
    const blob = encodeStrict([...list]);
    blobs.set(sha256Hex(blob), blob);
    await isWrong({ ...body, blob: sha256Hex(blob) }, what);
  }
});

test('receipts that are not kept are told, and accuse nobody', async () => {
  const check = await checker();
  const body = said([await receipt()]);
  blobs.delete(body.blob);
  await check.after(event(body), 99, example.state);
  assert.deepEqual([check.report.batches, check.report.unchecked_batches], [0, 1]);
  assert.match(check.unchecked()[0], /one batch of answers: they are not kept/);
});

test('an audit of the whole log reads the batches, and finds the untrue one', async () => {
  const body = said([await receipt(), await receipt({}, 2)]);
  await example.add(hub, body);
  const log = { ...(await publicLogOf(example.log)), blob: async (hash: string) => blobs.get(hash) ?? null };
  const audited = () => auditWith(inlinePool(log), log, { models: false, answers: true, now_ms: example.now_ms });
  const report = await audited();
  assert.deepEqual(report.answers, { batches: 1, receipts: 2, charged_micro: 200, unchecked_batches: 0 });
  const left = await auditWith(inlinePool(log), log, { models: false, now_ms: example.now_ms });
  assert.equal(left.answers, null);
  assert.ok(left.unchecked.includes('the receipts of answers (not asked for)'));
  assert.equal(receiptsIn(blobs.get(body.blob)!).length, 2);
  // The core takes this one: its sums agree. Only the receipts say that the gateway gave itself what was a device's.
  const [first, ...others] = said([await receipt()]).earnings;
  const taken = said([await receipt()], {});
  await example.add(hub, { ...taken, earnings: [[first[0], first[1] - 1], ...others], gateway_micro: 21 });
  const longer = { ...(await publicLogOf(example.log)), blob: log.blob };
  await assert.rejects(
    auditWith(inlinePool(longer), longer, { models: false, answers: true, now_ms: example.now_ms }),
    (error) => {
      assert.ok(error instanceof AuditFailure);
      assert.equal(error.code, 'wrong-answers');
      assert.equal(error.details.index, example.entries.length - 1);
      return true;
    },
  );
});
