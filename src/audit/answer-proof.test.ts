// Anybody's receipt is provable, offline: the true file is verified, and no changed one is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batch, receiptProof, receiptsIn } from '../core/serving/batch.ts';
import { writeTlogProof } from '../ledger/tlog-proof.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import { exampleReceipt, hashOf, person } from '../protocol/testing/example-receipt.ts';
import { checkAnswerProof, isAnswerProof, writeAnswerProof } from './answer-proof.ts';
import { OwnershipError } from './ownership-errors.ts';
import { ExampleLog, logOf, SETTINGS, signed } from './testing/example-log.ts';

const CALLER = hashOf('caller');
const example = new ExampleLog();
await example.begin();
const { hub, run, log, workers } = example;
await example.add(hub, { type: 'credit.granted', version: 1, account: CALLER, number: 0, amount_micro: 10 ** 6 });
const batch = new Batch();
for (let i = 0; i < 5; i++) {
  const about = { request: hashOf(`request ${i}`), caller: CALLER, run, model: SETTINGS };
  batch.add(await exampleReceipt(workers[i % 2].identity, hub, about));
}
const { body, blob } = batch.settle(0);
await example.add(hub, body);
await example.tick();
const receipts = receiptsIn(blob);
const at = example.entries.length - 2;

async function entryProof(of: TransparencyLog, index: number): Promise<string> {
  const { note, size } = await of.checkpoint();
  const [extra] = of.read(index, index + 1);
  return writeTlogProof({ index, proof: of.inclusionProof(index, size), note, extra });
}
const proofOf = async (index: number): Promise<string> =>
  writeAnswerProof({ bytes: receipts[index], index, proof: receiptProof(receipts, index) }, await entryProof(log, at));

const fails = (text: string, code: OwnershipError['code'], message?: RegExp): void =>
  assert.throws(
    () => checkAnswerProof(text),
    (error) => {
      assert.ok(error instanceof OwnershipError, `${error}`);
      assert.equal(error.code, code, error.message);
      if (message) assert.match(error.message, message);
      return true;
    },
  );

test('a receipt is verified with its file alone', async () => {
  for (const index of receipts.keys()) {
    const text = await proofOf(index);
    assert.ok(isAnswerProof(new TextEncoder().encode(text)));
    const { receipt, batch, entry } = checkAnswerProof(text);
    assert.deepEqual(
      [receipt.request, receipt.caller, receipt.charge_micro],
      [hashOf(`request ${index}`), CALLER, 100],
    );
    assert.equal(receipt.device, workers[index % 2].identity.id);
    assert.deepEqual([batch, entry.hub, entry.index], [body, hub.id, at]);
  }
  assert.equal(isAnswerProof(new TextEncoder().encode('{"format": "potluck-certificate-v1"}')), false);
});

test('a receipt at another place, another receipt, or another batch is not', async () => {
  const file = JSON.parse(await proofOf(1));
  const as = (more: object): string => JSON.stringify({ ...file, ...more });
  fails(as({ index: 2 }), 'bad-proof', /place 2 of the 5 in batch 0/);
  fails(as({ receipt: Buffer.from(receipts[2]).toString('base64') }), 'bad-proof');
  fails(as({ proof: file.proof.slice(1) }), 'bad-proof');
  fails(as({ batch: await entryProof(log, 0) }), 'wrong-claim', /got run.created/);
  fails(as({ batch: file.batch.replace(`index ${at}`, `index ${at - 1}`) }), 'bad-proof');
  fails(as({ receipt: '!' }), 'malformed');
  fails(as({ more: 1 }), 'malformed');
  fails('{', 'malformed');
  fails(`${'x'.repeat(256 * 1024)}y`, 'too-large');
});

test('a batch that somebody else than the hub has signed is none', async () => {
  // A hub can put anything into a tree that it signs; the core of everybody else refuses it.
  const forged = await logOf(hub, [await signed(workers[0].identity, body)]);
  const place = { bytes: receipts[0], index: 0, proof: receiptProof(receipts, 0) };
  fails(writeAnswerProof(place, await entryProof(forged, 0)), 'wrong-claim', /by the hub/);
});

test('a receipt that stands in a batch and is none is named', async () => {
  const other = person(9);
  const foreign = await exampleReceipt(workers[0].identity, other, { caller: CALLER, run, model: SETTINGS });
  const cut = { ...foreign, bytes: foreign.bytes.slice(0, -1) };
  for (const [receipt, code] of [
    [foreign, 'wrong-claim'],
    [cut, 'malformed'],
  ] as const) {
    const one = new Batch();
    one.add(receipt);
    const { body } = one.settle(example.state.paid.batches);
    await example.add(hub, body);
    const place = { bytes: receipt.bytes, index: 0, proof: [] };
    fails(writeAnswerProof(place, await entryProof(log, example.entries.length - 1)), code);
  }
});
