// Strangers at a real hub: ghosts that join and hold no connection, runs and connections that nobody wants, requests that two servers would read in two ways, secrets that nobody gets.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import type { LoggedEvent } from '../src/core/events.ts';
import { EXAMPLE_WORDS } from '../src/core/testing/example-events.ts';
import { trainingFor } from '../src/owner/run-settings.ts';
import { signEvent } from '../src/protocol/envelope.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { createIdentity, type Identity } from '../src/protocol/identity.ts';
import { type RunView, uploadChallenge } from '../src/protocol/messages.ts';
import { hubHere, tinyRun } from './hub-here.ts';
import { joined } from './raw-hub.ts';

const post = async (url: string, event: Uint8Array, address?: string): Promise<number> => {
  const headers: Record<string, string> = address === undefined ? {} : { 'x-forwarded-for': address };
  return (await fetch(`${url}/events`, { method: 'POST', body: event as Uint8Array<ArrayBuffer>, headers })).status;
};

test('ghost validators, who join by POST and hold no connection, are gone soon, and with them their seats', async (t) => {
  const GHOSTS = 30;
  const left = new Set<string>();
  const { promise: allLeft, resolve } = Promise.withResolvers<void>();
  const onEvent = ({ body }: LoggedEvent): void => {
    if (body.type === 'peer.left' && body.reason === 'connection lost') left.add(body.peer);
    if (left.size === GHOSTS) resolve();
  };
  const hub = await hubHere(t, { onEvent, limits: { lost_after_ms: 100 } });
  const run = await tinyRun(hub.url);
  const ghosts = Array.from({ length: GHOSTS }, () => createIdentity());
  for (const ghost of ghosts) {
    assert.equal(await post(hub.url, await signEvent(ghost, joined(run, 'validator'))), 201);
  }
  await allLeft;
  assert.deepEqual(left, new Set(ghosts.map(({ id }) => id)));
  const { runs } = await (await fetch(`${hub.url}/status`)).json();
  assert.ok(runs[0].peers.every(({ present }: { present: boolean }) => !present));
});

test('a hub that the world sees takes four runs of a key, so many of an address, and joins as fast as its rate', async (t) => {
  const slow = { burst: 2, per_second: 0.001 };
  const rates = { join_address: slow, run_address: { ...slow, burst: 6 } };
  const hub = await hubHere(t, { public_url: 'http://hub.example', rates });
  const run = await tinyRun(hub.url);
  const { params, model } = (await (await fetch(`${hub.url}/runs/${run}`)).json()) as RunView;
  const sizes = { rounds: 9, round_seconds: 60, steps: 2, batch: 2, context: 8, learning_rate: 0.01 };
  const { schedule } = trainingFor({ ...sizes, min_workers: 1 });
  const create = async (owner: Identity, address: string): Promise<number> => {
    const what = {
      type: 'run.created',
      version: 3,
      ...EXAMPLE_WORDS,
      name: 'spam',
      game: 'pretrain',
      created_ms: Date.now(),
    } as const;
    return post(hub.url, await signEvent(owner, { ...what, params, model, ...schedule }), address);
  };
  const [key, other] = [createIdentity(), createIdentity()];
  const created: number[] = [];
  for (let i = 0; i < 5; i++) created.push(await create(key, `203.0.113.${i}`));
  assert.deepEqual(created, [201, 201, 201, 201, 400], 'of a key');
  for (const i of [3, 4, 5, 6, 7, 8, 9]) created.push(await create(i < 7 ? other : createIdentity(), '198.51.100.1'));
  assert.deepEqual(
    created.slice(5),
    [201, 201, 201, 201, 201, 201, 429],
    'of an address, as fast as the rate of an address',
  );

  const joins: number[] = [];
  for (let i = 0; i < 3; i++) {
    joins.push(await post(hub.url, await signEvent(createIdentity(), joined(run, 'worker')), '198.51.100.2'));
  }
  assert.deepEqual(joins, [201, 201, 429]);
});

test('what is unfinished of those who take part lies apart from what strangers leave: who joins in between begins anew', async (t) => {
  const hub = await hubHere(t);
  const run = await tinyRun(hub.url);
  const key = createIdentity();
  const bytes = randomBytes(20);
  const hash = sha256Hex(bytes);
  const signature = Buffer.from(await key.sign(uploadChallenge(hub.id, hash))).toString('hex');
  const put = async (from: number, to: number) => {
    const headers = { 'x-potluck-peer': key.id, 'x-potluck-signature': signature };
    const range = { 'content-range': `bytes ${from}-${to - 1}/20` };
    const body = bytes.subarray(from, to);
    const response = await fetch(`${hub.url}/blobs/${hash}`, {
      method: 'PUT',
      body,
      headers: { ...headers, ...range },
    });
    return [response.status, (await response.json()).received_bytes];
  };
  assert.deepEqual(await put(0, 8), [202, 8]);
  assert.equal(await post(hub.url, await signEvent(key, joined(run, 'worker'))), 201);
  assert.deepEqual(await put(8, 20), [409, 0]);
  assert.deepEqual(await put(0, 8), [202, 8]);
  assert.equal((await put(8, 20))[0], 201);
});

test('where all places for connections are taken, who only asks is answered', async (t) => {
  const hub = await hubHere(t, { limits: { connections: 1 } });
  const connected = () => new WebSocket(`${hub.url.replace('http', 'ws')}/ws`).on('error', () => {});
  const first = connected();
  await once(first, 'message');
  const [, answer] = await once(connected(), 'unexpected-response');
  assert.equal(answer.statusCode, 503);
  assert.equal((await fetch(`${hub.url}/health`)).status, 200);
  first.terminate();
});

test('requests that two servers would read in two ways, other paths and endless headers are refused, and the hub goes on', async (t) => {
  const hub = await hubHere(t);
  const { host, hostname, port } = new URL(hub.url);
  const answerTo = async (text: string): Promise<string> => {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => {});
    socket.write(text);
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
      socket.end();
    });
    await once(socket, 'close');
    return answer.split('\r\n', 1)[0];
  };
  const put = `PUT /blobs/${'a'.repeat(64)} HTTP/1.1\r\nhost: ${host}\r\n`;
  const events = `POST /events HTTP/1.1\r\nhost: ${host}\r\n`;
  const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: ${host}\r\n${more}\r\n`;
  const smuggled = 'GET /metrics HTTP/1.1\r\n\r\n';
  for (const [text, status] of [
    [`${put}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`, 400],
    [`${events}content-length: 4\r\ncontent-length: 5\r\n\r\nabcd${smuggled}`, 400],
    [`${events}content-length: -1\r\n\r\n`, 400],
    [`${events}content-length: 1e3\r\n\r\n`, 400],
    [`${events}transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n`, 411],
    [`${events}content-length: 70000\r\n\r\n`, 413],
    [get('/'.padEnd(20_000, 'x')), 431],
    [get('/health', `x: ${'y'.repeat(20_000)}\r\n`), 431],
    [get('/../hub.key'), 404],
    [get('/blobs/../../hub.key'), 404],
    [get('/blobs/..%2f..%2fhub.key'), 400],
    [get('/assets/..%2f..%2fpackage.json'), 404],
    [get('/log/tile/0/..%2f..%2fhub.sqlite'), 400],
    [get('/health', 'upgrade: websocket\r\nconnection: upgrade\r\n'), 404],
    [`TRACE / HTTP/1.1\r\nhost: ${host}\r\n\r\n`, 404],
  ] as const) {
    assert.match(await answerTo(text), new RegExp(`^HTTP/1.1 ${status} `), text.slice(0, 150));
  }
  assert.equal((await fetch(`${hub.url}/health`)).status, 200);
});

test("the hub's secret stands in its key file and nowhere else: no answer, no other file, no word to its operator", async (t) => {
  const said: unknown[] = [];
  const onError = (...words: unknown[]): void => void said.push(words.map(String));
  const folder = mkdtempSync(join(tmpdir(), 'potluck-strangers-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const hub = await hubHere(t, { folder, onError, onEvent: (event) => void said.push(event) });
  const run = await tinyRun(hub.url);
  await post(hub.url, randomBytes(100));
  await post(hub.url, await signEvent(createIdentity(), joined(run, 'worker')));
  const paths = ['/', '/status', '/metrics', '/health', '/log/checkpoint', '/log/key', '/log/proof/0', `/runs/${run}`];
  for (const path of [...paths, `/accounts/${hub.id}`, '/hub.key']) {
    said.push(await (await fetch(hub.url + path)).text());
  }
  const key = readFileSync(join(folder, 'hub.key'), 'utf8');
  const { secret } = JSON.parse(key) as { secret: string };
  assert.match(secret, /^[0-9a-f]{64}$/);
  assert.ok(!JSON.stringify(said).includes(secret.slice(0, 16)));
  const raw = Buffer.from(secret, 'hex').subarray(0, 8);
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = join(folder, name);
    if (name === 'hub.key' || !statSync(file).isFile()) continue;
    const bytes = readFileSync(file);
    assert.ok(!bytes.includes(raw) && !bytes.includes(secret.slice(0, 16)), name);
  }
});
