// What people are shown of paid answers: `verify` of a receipt's proof and `credit` of an account, as text and as JSON of the form that is written down.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Command } from 'commander';
import { writeAnswerProof } from '../audit/answer-proof.ts';
import { ExampleLog, SETTINGS } from '../audit/testing/example-log.ts';
import { Batch, receiptProof, receiptsIn } from '../core/serving/batch.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { writeTlogProof } from '../ledger/tlog-proof.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { exampleReceipt, hashOf } from '../protocol/testing/example-receipt.ts';
import { creditCommand } from './credit.ts';
import { schemaOf } from './json-objects.ts';
import { printed } from './testing/printed.ts';
import { verifyCommand } from './verify.ts';

const CALLER = hashOf('caller');
const example = new ExampleLog();
const folder = mkdtempSync(join(tmpdir(), 'potluck-paid-'));
const proof = join(folder, 'answer.json');

before(async () => {
  await example.begin();
  const { hub, run, workers, log } = example;
  await example.add(hub, { type: 'credit.granted', version: 1, account: CALLER, number: 0, amount_micro: 1_500_000 });
  await example.tick();
  const batch = new Batch();
  batch.add(await exampleReceipt(workers[0].identity, hub, { caller: CALLER, run, model: SETTINGS, time_ms: 60_000 }));
  const { body, blob } = batch.settle(0);
  const devices: [string, number, number][] = [[workers[0].identity.id, 7, 1]];
  await example.add(hub, { type: 'answers.judged', version: 1, number: 0, devices });
  await example.add(hub, body);
  // The folder of a hub with this log.
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const kept = openTransparencyLog(store, hub);
  await kept.append(example.entries.map(({ bytes }) => bytes));
  await kept.checkpoint();
  await store.close();
  const index = log.size - 1;
  const { note, size } = await log.checkpoint();
  const [extra] = log.read(index, index + 1);
  const entry = writeTlogProof({ index, proof: log.inclusionProof(index, size), note, extra });
  const [bytes] = receiptsIn(blob);
  writeFileSync(proof, writeAnswerProof({ bytes, index: 0, proof: receiptProof([bytes], 0) }, entry));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** The one object that a command prints, which has the form that is written down. */
async function object(command: Command, ...args: string[]): Promise<Record<string, unknown>> {
  const found = JSON.parse(await printed(command, ...args, '--json'));
  const { success, error } = schemaOf(found.type)!.safeParse(found);
  assert.ok(success, `${error}`);
  return found;
}

test('verify says what is proven of an answer, and refuses another hub or another holder', async () => {
  const { hub, workers } = example;
  const found = await object(verifyCommand(), proof);
  assert.deepEqual(
    [found.type, found.valid, found.hub, found.device, found.caller, found.charge_micro, found.ended_ms, found.batch],
    ['answer', true, hub.id, workers[0].identity.id, CALLER, 100, 60_000, 0],
  );
  const text = await printed(verifyCommand(), proof, '--hub-id', hub.id, '--holder', CALLER);
  assert.match(text, /VALID.* answer\n/);
  assert.match(text, /charged {2}0\.0001 credits to/);
  assert.match(text, /0\.00007 credits for the device, 0\.00001 credits for holders, 0\.00002 credits for the gateway/);
  assert.match(text, /in the minute of 1970-01-01T00:01:00/);
  for (const flag of ['--hub-id', '--holder'])
    await assert.rejects(printed(verifyCommand(), proof, flag, hashOf('x')), { code: 'wrong-claim' });
});

test('credit says what an account has left, and what became of the rest', async () => {
  const found = await object(creditCommand(), CALLER, '--hub', folder);
  assert.deepEqual([found.left_micro, found.charged_micro, (found.movements as unknown[]).length], [1_499_900, 100, 2]);
  const text = await printed(creditCommand(), CALLER, '--hub', folder);
  assert.match(text, /1\.4999 credits left: 1\.5 credits granted, 0\.0001 credits charged/);
  assert.match(text, /granted 1\.5 credits\n/);
  assert.match(text, /charged 0\.0001 credits in batch 0/);
  const server = await printed(creditCommand(), example.workers[0].identity.id, '--hub', folder);
  assert.match(server, /judged {2}7 of 8 judged parts of its devices' answers were accepted/);
  const nobody = await printed(creditCommand(), hashOf('nobody'), '--hub', folder);
  assert.match(nobody, /0 credits left: 0 credits granted/);
});
