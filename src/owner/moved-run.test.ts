// What a run earned its people is proven wherever it is: in the log where it was stated, also after the run has moved on to another hub's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Certificate, certificateText, verifyCertificate } from '../audit/certificate.ts';
import { holdingsOf } from '../audit/shares.ts';
import { ExampleLog, publicLogOf } from '../audit/testing/example-log.ts';
import { emptyFolder, folderOf } from '../audit/testing/log-folder.ts';
import { arrivalOf, arrive, createdIn, depart, move, urlOf } from '../audit/testing/moved-log.ts';
import { explainSubmission } from '../audit/why.ts';
import { statementOf } from '../core/shares/share-table.ts';
import { exportModel, nameOfFolder } from '../model/checkpoint-folder.ts';
import { LlamaConfigSchema, parameterSpecs } from '../model/config.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { utf8 } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { sizeOf } from '../tensor/shape.ts';
import { makeCertificate } from './certificate-make.ts';
import { addProvenance, checkFolder } from './ownership-shares.ts';

/** A run whose shares are stated every two rounds. */
async function begun(): Promise<ExampleLog> {
  const log = new ExampleLog();
  log.checkpoint_every = 2;
  await log.begin();
  return log;
}

test('a certificate of a run that came shows its first event inside its arrival, and counts what was earned before', async (t) => {
  const a = await begun();
  for (let i = 0; i < 3; i++) await a.playRound();
  const b = new ExampleLog(3, a);
  await move(a, b);
  await b.playRound();
  const holder = a.workers[0].identity.id;
  // Where it was, what was stated there stays provable, and the reader is told that there is more.
  const before = await makeCertificate(await folderOf(t, a), { holder, evidence: 10 });
  assert.equal(before.certificate.merged_rounds, 2);
  assert.equal(before.certificate.evidence.submissions, 2);
  assert.ok(before.warning?.includes(urlOf(b)), before.warning ?? 'no warning');
  const { certificate, warning } = await makeCertificate(await folderOf(t, b), { holder, evidence: 10 });
  assert.deepEqual(
    [certificate.run, certificate.name, certificate.merged_rounds, certificate.evidence.submissions],
    [a.run, 'x', 4, 1],
  );
  assert.equal(certificate.amount, 4 * 50);
  assert.equal(certificate.shares, 2 * before.certificate.shares);
  assert.ok(!warning?.includes('went on'));
  // Without its arrival nothing says what run that is; the arrival of another run neither.
  const forged = (change: Partial<Certificate>) => utf8(certificateText({ ...certificate, ...change }));
  assert.throws(() => verifyCertificate(forged({ events: certificate.events.slice(1) })), { code: 'wrong-claim' });
  assert.throws(() => verifyCertificate(forged({ name: 'y' })), { code: 'wrong-claim' });
  assert.throws(() => verifyCertificate(forged({ run: 'c'.repeat(64) })), { code: 'wrong-claim' });
});

test('shares that are stated before anything was merged here', async (t) => {
  const a = await begun();
  for (let i = 0; i < 3; i++) await a.playRound();
  const b = new ExampleLog(3, a);
  const luggage = await depart(a, b);
  await arrive(b, await arrivalOf(a, luggage), luggage);
  const { round, attempt, run } = { ...b.open, run: b.run };
  const holder = a.workers[1].identity.id;
  await assert.rejects(makeCertificate(await folderOf(t, b), { holder, evidence: 10 }), (error: Error) =>
    error.message.includes(`in the log at ${urlOf(a)}`),
  );
  await b.add(b.owner, { type: 'run.ended', version: 1, run, round, attempt });
  await b.add(b.hub, statementOf(b.open));
  const { certificate } = await makeCertificate(await folderOf(t, b), { holder, evidence: 10 });
  assert.deepEqual(
    [certificate.merged_rounds, certificate.amount, certificate.evidence],
    [3, 150, { submissions: 0, amount: 0, verdicts: 0 }],
  );
});

test('a run that comes back has what it earned everywhere, and its work of then and now in one certificate', async (t) => {
  const a = await begun();
  await a.playRound();
  const created = createdIn(a);
  const b = new ExampleLog(3, a);
  await move(a, b);
  await b.playRound();
  await move(b, a, created);
  for (let i = 0; i < 2; i++) await a.playRound();
  const { certificate } = await makeCertificate(await folderOf(t, a), { holder: a.vera.id, evidence: 10 });
  assert.equal(certificate.merged_rounds, 4);
  assert.deepEqual(certificate.evidence, { submissions: 0, amount: 0, verdicts: 9 });
  // Also where its last model was merged elsewhere.
  const c = new ExampleLog();
  await c.begin();
  await c.playRound();
  const there = new ExampleLog(3, c);
  await move(c, there);
  await there.playRound();
  const luggage = await depart(there, c, createdIn(c));
  await arrive(c, await arrivalOf(there, luggage), luggage);
  const { round, attempt } = c.open;
  await c.add(c.owner, { type: 'run.ended', version: 1, run: c.run, round, attempt });
  await c.add(c.hub, statementOf(c.open));
  const ended = await makeCertificate(await folderOf(t, c), { holder: c.vera.id, evidence: 10 });
  assert.deepEqual([ended.certificate.merged_rounds, ended.certificate.evidence.verdicts], [2, 3]);
});

const LLAMA = LlamaConfigSchema.parse({
  ...{ vocab_size: 257, hidden_size: 8, intermediate_size: 12, num_hidden_layers: 1, num_attention_heads: 2 },
  ...{ num_key_value_heads: 1, max_position_embeddings: 32 },
});

test('an exported model says who made it, in whichever log its shares are stated', async (t) => {
  const dir = emptyFolder(t);
  const weights = new Map(
    parameterSpecs(LLAMA).map(({ name, shape }) => [name, new Float32Array(sizeOf(shape)).fill(0.5)]),
  );
  await exportModel(dir, { config: LLAMA, weights, tokenizer: byteTokenizer() });
  const model = await nameOfFolder(dir);
  const a = await begun();
  await a.playRound();
  const b = new ExampleLog(3, a);
  await move(a, b);
  await b.playRound([], model);
  await addProvenance(await folderOf(t, b), { run: a.run, model }, dir, createIdentity());
  const { shares, stated } = await checkFolder(dir);
  assert.deepEqual([shares?.run, shares?.name, shares?.merged_rounds, stated], [a.run, 'x', 2, true]);
});

test('what the log says of a run that has gone ends with where it went', async () => {
  const a = await begun();
  await a.playRound();
  const b = new ExampleLog(3, a);
  await move(a, b);
  await b.playRound();
  const { id } = a.entries.find(({ event }) => event.body.type === 'work.submitted')!.event;
  const gone = new RegExp(`after 1 rounds in the log of the hub ${b.hub.id}`);
  const now_ms = b.now_ms;
  const [log_a, log_b] = [await publicLogOf(a.log), await publicLogOf(b.log)];
  assert.match((await explainSubmission(log_a, id, now_ms)).warning!, gone);
  assert.match((await holdingsOf(log_a, a.run, now_ms)).warning!, gone);
  const { warning, merged_rounds, emitted } = await holdingsOf(log_b, a.run, now_ms);
  assert.deepEqual([warning, merged_rounds, emitted], [null, 2, 2000]);
  const there = b.entries.find(({ event }) => event.body.type === 'work.submitted')!.event.id;
  const { shares, held_after } = await explainSubmission(log_b, there, now_ms);
  assert.equal(held_after, 2 * shares);
  await assert.rejects(explainSubmission(log_b, id, now_ms), (error: Error) => error.message.includes(urlOf(a)));
});
