// Serving by a hub of several real processes: callers of the gateway are answered by devices at front ends, of its own region first, and who dies in mid-answer is replaced and paid.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import OpenAI from 'openai';
import { NATS_SKIPPED, startNats } from '../src/hub/cluster/testing/nats-server.ts';
import { startS3Double } from '../src/ledger/testing/s3-double.ts';
import { network, type Potluck } from './network.ts';
import { createPoems, fleetWhere } from './served-run.ts';

/** Micro-credits a token. */
const PRICE = ['--price-in', '10', '--price-out', '100'];
/** A model of bytes that writes ASCII alone, and to the end. */
const NO_BYTES = Object.fromEntries(Array.from({ length: 129 }, (_, i) => [128 + i, -100]));
const ASKED = { model: 'poems', prompt: 'Line 7 o', max_tokens: 100, seed: 5, logit_bias: NO_BYTES };
/** Nothing listens there: devices that measure the ways to all front ends find no way to this one. */
const NOWHERE = 'http://127.0.0.1:9';

test('an answer of the whole hub', { skip: NATS_SKIPPED, timeout: 180_000 }, async (t) => {
  const nats = await startNats({ jetstream: true });
  t.after(() => nats.close());
  const s3 = await startS3Double();
  t.after(() => s3.stop());
  const net = network(t, { AWS_ACCESS_KEY_ID: s3.access_key_id, AWS_SECRET_ACCESS_KEY: s3.secret_access_key });
  const start = async (name: string, roles: string, region: string, ...more: string[]) => {
    const potluck = net.start(
      ...['hub', '--port', '0', '--folder', join(net.folder, name), '--json', '--no-page', '--region', region],
      ...['--nats', nats.urls[0], '--s3', `${s3.url}/${s3.bucket}`, '--roles', roles, ...more],
    );
    const { url } = await potluck.line((line) => line.type === 'listening');
    return { url: String(url), potluck };
  };
  const said = async (type: string, ...words: string[]) =>
    net.ask(...words, '--json').line((line) => line.type === type);

  const paying = ['--api', '--settle-minutes', '0.01'];
  const gateway = await start('gateway', 'sequencer,merger,gateway', 'here', ...paying);
  const { url } = gateway;
  const there = await start('there', 'front', 'there', '--public', NOWHERE);
  await createPoems(there.url);
  const device = async (at: string, name: string, count: number): Promise<Potluck> => {
    const potluck = net.join(at, name, '--serve-only', '--duty', '0.4', ...PRICE);
    await potluck.line((line) => line.type === 'serves');
    await fleetWhere(url, ({ rows }) => rows.filter(({ unpaid }) => unpaid === null).length === count);
    return potluck;
  };
  // Of two, one judges what the other writes.
  await Promise.all(['far', 'farther'].map((name) => device(there.url, name, 2)));
  const made = await said('key_made', 'serve', 'keys', 'add', 'friend');
  const account = String(made.account);
  const granting = ['--hub', url, '--folder', join(net.folder, 'gateway')];
  await said('credit_granted', 'credit', 'grant', account, '1', ...granting);
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: String(made.key), maxRetries: 0 });
  /** @param onMiddle called when the caller has read so many tokens */
  const read = async (onMiddle?: () => void) => {
    const { data, response } = await client.completions.create({ ...ASKED, stream: true }).withResponse();
    let [text, pieces] = ['', 0];
    for await (const { choices } of data) {
      text += choices[0]?.text ?? '';
      if (++pieces === 10) onMiddle?.();
    }
    const [, request] = /^([0-9a-f]{64})/.exec(response.headers.get('x-potluck-receipts')!)!;
    return { text, request };
  };
  const undisturbed = await read();
  assert.equal(undisturbed.text.length, 100);

  const strangers = new Set((await fleetWhere(url, () => true)).rows.map(({ device: one }) => one));
  const here = await start('here', 'front', 'here');
  await device(here.url, 'near', 3);
  const again = await read();
  assert.equal(again.text, undisturbed.text);
  const fleet = await fleetWhere(there.url, () => true); // read where no caller is answered
  const near = fleet.rows.find(({ device: one }) => !strangers.has(one))!;
  assert.ok(near.leases >= 1, 'of the gateway’s own region, though the others are known to be fast');

  const cut = await read(() => here.potluck.process.kill('SIGKILL'));
  assert.equal(cut.text, undisturbed.text);

  /** The parts of an answer, when all of them are settled. */
  const settled = async (request: string): Promise<number[]> => {
    for (;;) {
      const response = await fetch(`${url}/v1/receipts/${request}`);
      const found = response.ok ? ((await response.json()) as { parts: { part: number; settled: boolean }[] }) : null;
      if (found?.parts.every((one) => one.settled)) return found.parts.map(({ part }) => part);
      t.signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const parts = await settled(cut.request);
  assert.ok(parts.at(-1)! >= 1, `whoever went on is paid: ${parts}`);
  const shown = await Promise.all(
    parts.map(async (part) => {
      const file = join(net.folder, `part-${part}.json`);
      writeFileSync(file, await (await fetch(`${url}/v1/receipts/${cut.request}/${part}`)).text());
      return said('answer', 'verify', file);
    }),
  );
  assert.ok(shown.every(({ valid }) => valid));
  assert.ok(shown.reduce((sum, { output_tokens }) => sum + Number(output_tokens), 0) <= 100);
  for (const one of [undisturbed, again]) await settled(one.request);
  const { verdict, answers } = await said('audit', 'audit', there.url);
  assert.equal(verdict, 'true');
  const { left_micro } = await said('credit', 'credit', account, '--hub', there.url);
  assert.equal(Number(left_micro), 1_000_000 - Number((answers as { charged_micro: number }).charged_micro));
});
