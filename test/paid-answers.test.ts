// Paid answers with real processes: what a caller is charged is what devices earn, the log shows it, and anybody can prove it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import OpenAI from 'openai';
import { answerHash } from '../src/protocol/answer-receipt.ts';
import type { ProviderDocument } from '../src/serving/provider-document.ts';
import { network } from './network.ts';
import { fleetWhere } from './served-run.ts';

const MICRO = 1_000_000;
/** With a context for answers that can be cut in the middle. */
const MODEL = '--layers 1 --width 16 --heads 2 --feed-forward 32 --context 160 --batch 2'.split(' ');
/** Micro-credits a token. */
const [IN, OUT] = [10, 100];
/** A model of bytes that writes ASCII alone, and to the end: its text says which tokens it is of. */
const NO_BYTES = Object.fromEntries(Array.from({ length: 129 }, (_, i) => [128 + i, -100]));
/** What is charged for what devices earn: a tenth of it all for holders, and a twentieth for the hub. */
const chargeOf = (earns_micro: number): number =>
  earns_micro + Math.ceil((earns_micro * 100) / 850) + Math.ceil((earns_micro * 50) / 850);

async function paidPool(t: TestContext) {
  const net = network(t);
  const { url } = await net.hub(0, '--no-page', '--api', '--settle-minutes', '0.01', '--hub-share', '5');
  const said = async (type: string, ...words: string[]) =>
    net.ask(...words, '--json').line((line) => line.type === type);
  const data = ['--data', join(net.folder, 'text.txt'), '--name', 'poems', '--open'];
  const run = String((await said('created', 'run', 'create', '--hub', url, ...data, ...MODEL)).run);
  const made = await said('key_made', 'serve', 'keys', 'add', 'friend');
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: String(made.key), maxRetries: 0 });
  const account = String(made.account);
  const folder = join(net.folder, 'hub');
  const device = async (name: string, ...more: string[]) => {
    const before = new Set((await fleetWhere(url, () => true)).rows.map(({ device }) => device));
    const price = ['--price-in', String(IN), '--price-out', String(OUT)];
    const potluck = net.join(url, name, '--serve-only', ...price, ...more);
    await potluck.line((line) => line.type === 'serves');
    await fleetWhere(url, ({ rows }) => rows.some(({ device }) => !before.has(device))); // its offer is on its way
    return potluck;
  };
  const ask = (max_tokens: number) => ({
    ...{ model: 'poems', prompt: 'Line 7 o', max_tokens, seed: 5, logprobs: 1, logit_bias: NO_BYTES },
  });
  /** The parts of an answer, as soon as all of them are settled. @param least so many there are: the last one is signed when the answer is over */
  const settled = async (request: string, least = 1): Promise<{ part: number }[]> => {
    for (;;) {
      const response = await fetch(`${url}/v1/receipts/${request}`);
      const found = response.ok ? ((await response.json()) as { parts: { part: number; settled: boolean }[] }) : null;
      if (found && found.parts.length >= least && found.parts.every((one) => one.settled)) return found.parts;
      await wait(20);
    }
  };
  /** A part's receipt, as `potluck verify` shows it. */
  const verified = async (request: string, part: number) => {
    const file = join(net.folder, `${request}-${part}.json`);
    writeFileSync(file, await (await fetch(`${url}/v1/receipts/${request}/${part}`)).text());
    return said('answer', 'verify', file);
  };
  const credit = (of: string) => said('credit', 'credit', of, '--hub', url);
  const grant = (amount: string) =>
    said('credit_granted', 'credit', 'grant', account, amount, '--hub', url, '--folder', folder);
  /** The whole log is true, the receipts of all batches among it, and they are of so much. */
  const audited = async (receipts: number, charged_micro: number): Promise<void> => {
    const { verdict, answers } = await said('audit', 'audit', url);
    const { batches, ...sums } = answers as { batches: number };
    assert.ok(batches > 0);
    assert.deepEqual([verdict, sums], ['true', { receipts, charged_micro, unchecked_batches: 0 }]);
  };
  return { audited, net, url, run, said, client, account, folder, device, ask, settled, verified, credit, grant };
}

const receiptsOf = (headers: Headers): { request: string; salt: Uint8Array }[] =>
  headers
    .get('x-potluck-receipts')!
    .split(', ')
    .map((one) => {
      const [, request, salt] = /^([0-9a-f]{64});salt=([0-9a-f]{64})$/.exec(one)!;
      return { request, salt: Buffer.from(salt, 'hex') };
    });

/** Two answers to one request are two receipts, which marketplaces could have told the price of. @returns what they were charged */
async function askTwice(pool: Awaited<ReturnType<typeof paidPool>>): Promise<number> {
  const listed = ((await (await fetch(`${pool.url}/v1/providers`)).json()) as ProviderDocument).data;
  assert.deepEqual(
    listed.map(({ id, is_ready, pricing: { prompt, completion } }) => [id, is_ready, prompt, completion]),
    [['poems', true, '0.000011764706', '0.000117647059']],
  );
  const { data, response } = await pool.client.completions.create({ ...pool.ask(30), n: 2 }).withResponse();
  const receipts = receiptsOf(response.headers);
  assert.equal(new Set(receipts.map(({ request }) => request)).size, 2);
  const shown: Record<string, unknown>[] = [];
  for (const { request } of receipts) {
    assert.deepEqual(await pool.settled(request), [{ part: 0, settled: true }]);
    shown.push(await pool.verified(request, 0));
  }
  // Each receipt is of the answer whose salt came beside it, and of no other.
  const hashes = data.choices.map(({ text }, i) => answerHash(receipts[i].salt, [...Buffer.from(text)]));
  assert.deepEqual(
    shown.map(({ answer }) => answer),
    hashes,
  );
  const earned = shown.map(({ earns_micro }) => Number(earns_micro));
  const read = Number(shown[0].input_tokens);
  assert.deepEqual(earned, [IN * read + OUT * 30, IN * read + OUT * 30]);
  const charged_micro = 2 * chargeOf(earned[0]);
  const { prompt, completion } = listed[0].pricing;
  const told = Number(prompt) * read + Number(completion) * 30;
  assert.ok(Math.abs(2 * told * MICRO - charged_micro) < 6);
  return charged_micro;
}

test('an answer is charged, earned, settled and proven; without credit it is refused before anybody writes', async (t) => {
  const pool = await paidPool(t);
  await pool.device('first');
  const refused = await pool.client.completions.create(pool.ask(40)).catch((error) => error);
  assert.deepEqual([refused.status, refused.type, refused.code], [402, 'insufficient_quota', 'insufficient_quota']);
  assert.match(refused.message, /can spend 0 credits, and this answer may cost 0\.\d+ credits/);

  assert.equal((await pool.grant('0.0125')).left_micro, 12_500);
  const { data, response } = await pool.client.completions.create(pool.ask(40)).withResponse();
  const [{ request, salt }] = receiptsOf(response.headers);
  const { prompt_tokens, completion_tokens } = data.usage!;
  const earns_micro = IN * prompt_tokens + OUT * completion_tokens;
  assert.deepEqual(await pool.settled(request), [{ part: 0, settled: true }]);
  const shown = await pool.verified(request, 0);
  assert.equal(shown.valid, true);
  assert.deepEqual(
    [shown.caller, shown.earns_micro, shown.input_tokens, shown.output_tokens],
    [pool.account, earns_micro, prompt_tokens, completion_tokens],
  );
  // Whoever has the answer and the salt shows that it is the one that was paid.
  const ids = [...Buffer.from(data.choices[0].text)];
  assert.deepEqual([ids.length, completion_tokens], [40, 40]);
  assert.equal(answerHash(salt, ids), shown.answer);
  assert.notEqual(answerHash(salt, ids.with(0, ids[0] ^ 1)), shown.answer);

  const charged_micro = chargeOf(earns_micro);
  const money = await pool.credit(pool.account);
  assert.deepEqual([money.left_micro, money.charged_micro], [12_500 - charged_micro, charged_micro]);
  const { owner } = await pool.said('identity', 'id');
  assert.equal((await pool.credit(String(owner))).owed_micro, earns_micro);
  const paid = await pool.said(
    'earnings_paid',
    'credit',
    'pay',
    String(owner),
    String(earns_micro / MICRO),
    '--hub',
    pool.url,
    '--folder',
    pool.folder,
  );
  assert.equal(paid.owed_micro, 0);

  // Until the credit is used up.
  const last = await pool.client.completions.create(pool.ask(100)).catch((error) => error);
  assert.equal(last.status, 402);
  await pool.grant('1');
  const twice_micro = await askTwice(pool);
  await pool.audited(3, charged_micro + twice_micro);
});

test('a device that is killed in mid-answer is paid for its part, and the one that goes on for the rest', async (t) => {
  const pool = await paidPool(t);
  await pool.grant('1');
  const first = await pool.device('first', '--duty', '0.02');
  const { data, response } = await pool.client.completions
    .create({ ...pool.ask(140), stream: true as const })
    .withResponse();
  const [{ request }] = receiptsOf(response.headers);
  let begun_ms: number | null = null;
  let tokens = 0;
  let late = 0;
  let second: Promise<unknown> | null = null;
  for await (const chunk of data) {
    tokens += chunk.choices[0]?.logprobs?.tokens?.length ?? 0;
    // It signs with the first token after two seconds of its own time, of which a busy machine gives it less: 45 tokens are more of it; what was signed comes before the next ones.
    begun_ms ??= Date.now();
    if (second || Date.now() - begun_ms < 5000 || tokens < 45 || ++late < 4) continue;
    first.process.kill('SIGKILL');
    second = pool.device('second');
  }
  await second;
  const parts = await pool.settled(request, 2);
  const shown = [];
  for (const { part } of parts) shown.push(await pool.verified(request, part));
  // On a busy machine a device may be late in mid-answer and go on itself: that is a part of its own.
  const devices = shown.map(({ device }) => device);
  assert.equal(new Set(devices).size, 2);
  assert.equal(devices.filter((device, i) => i > 0 && device !== devices[i - 1]).length, 1, `${devices}`);
  const written = shown.map(({ output_tokens }) => Number(output_tokens));
  assert.ok(Math.min(...written) > 0 && written.reduce((a, b) => a + b) <= tokens, `${written} of ${tokens}`);
  const [first_read, ...later_read] = shown.map(({ input_tokens }) => Number(input_tokens));
  assert.ok(first_read > 0);
  for (const read of later_read) assert.equal(read, 0);
  const charged_micro = shown.reduce((sum, { earns_micro }) => sum + chargeOf(Number(earns_micro)), 0);
  await pool.audited(shown.length, charged_micro);
});
