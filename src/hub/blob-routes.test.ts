// Blobs over real sockets: whole, in part, only their size, not again; an upload may take as long as its bytes keep coming.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesToHex } from '@noble/hashes/utils.js';
import type { CodedError } from '../errors.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { type Hub, openHub } from './hub.ts';

const SILENCE_MS = 1200;
const root = mkdtempSync(join(tmpdir(), 'potluck-blobs-'));
const identity = createIdentity();
const random = randomBytes(5000);
const text = Buffer.from('many bring something, one thing comes out. '.repeat(100));
const problems: string[] = [];
let hub: Hub;

const headersFor = async (bytes: Uint8Array) => ({
  'x-potluck-peer': identity.id,
  'x-potluck-signature': bytesToHex(await identity.sign(uploadChallenge(hub.id, sha256Hex(bytes)))),
});
const urlOf = (bytes: Uint8Array) => `${hub.url}/blobs/${sha256Hex(bytes)}`;
const get = (bytes: Uint8Array, headers: Record<string, string> = {}, method = 'GET') =>
  fetch(urlOf(bytes), { method, headers: { 'accept-encoding': 'identity', ...headers } });
const bodyOf = async (response: Response) => Buffer.from(await response.arrayBuffer());

const onError = (error: unknown): void => void problems.push((error as CodedError).code);

before(async () => {
  hub = await openHub({ folder: root, host: '127.0.0.1', port: 0, limits: { silence_ms: SILENCE_MS }, onError });
  for (const bytes of [random, text]) {
    const put = await fetch(urlOf(bytes), { method: 'PUT', body: bytes, headers: await headersFor(bytes) });
    assert.equal(put.status, 201);
  }
});
after(async () => {
  await hub.close();
  rmSync(root, { recursive: true, force: true });
});

test('whole, with a tag that only these bytes have', async () => {
  const response = await get(random);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('etag'), `"${sha256Hex(random)}"`);
  assert.equal(response.headers.get('accept-ranges'), 'bytes');
  assert.equal(response.headers.get('content-length'), '5000');
  assert.deepEqual(await bodyOf(response), random);
  const packed = await get(text, { 'accept-encoding': 'gzip' });
  assert.equal(packed.headers.get('content-encoding'), 'gzip');
  assert.equal(packed.headers.get('etag'), `"${sha256Hex(text)}-gzip"`);
  assert.deepEqual(await bodyOf(packed), text);
});

test('from where a line broke, and after the end', async () => {
  const rest = await get(random, { range: 'bytes=1234-', 'accept-encoding': 'gzip' });
  assert.equal(rest.status, 206);
  assert.equal(rest.headers.get('content-range'), 'bytes 1234-4999/5000');
  assert.equal(rest.headers.get('content-length'), '3766');
  assert.deepEqual(await bodyOf(rest), random.subarray(1234));
  const plain = await get(text, { range: 'bytes=10-19', 'accept-encoding': 'gzip' });
  assert.equal(plain.headers.get('content-encoding'), null, 'a part is of the blob, not of its packing');
  assert.deepEqual(await bodyOf(plain), text.subarray(10, 20));
  const beyond = await get(random, { range: 'bytes=5000-' });
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers.get('content-range'), 'bytes */5000');
  assert.equal(((await beyond.json()) as { error: { code: string } }).error.code, 'bad-range');
  const other = await get(random, { range: 'bytes=1-', 'if-range': '"another"' });
  assert.equal(other.status, 200);
  assert.deepEqual(await bodyOf(other), random);
});

test('its size alone, and not again for who has it', async () => {
  const head = await get(random, {}, 'HEAD');
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('content-length'), '5000');
  assert.equal((await get(Buffer.from('nothing'), {}, 'HEAD')).status, 404);
  assert.equal((await get(random, { 'if-none-match': `"${sha256Hex(random)}"` })).status, 304);
  assert.equal((await get(text, { 'if-none-match': `"${sha256Hex(text)}-gzip"` })).status, 304);
});

/** An upload of eight bytes by hand; resolves with the answer, '' where the hub hangs up. */
async function upload(bytes: Uint8Array, pauses_ms: number, stopAt: number): Promise<string> {
  const { hostname, port } = new URL(hub.url);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (chunk) => {
    answer += chunk;
    socket.end();
  });
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.on('close', resolve));
  const headers = Object.entries(await headersFor(bytes)).map(([name, value]) => `${name}: ${value}\r\n`);
  const start = `PUT /blobs/${sha256Hex(bytes)} HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${bytes.length}\r\n`;
  socket.write(`${start}${headers.join('')}\r\n`);
  for (const byte of bytes.subarray(0, stopAt)) {
    await sleep(pauses_ms);
    socket.write(Uint8Array.of(byte));
  }
  await closed;
  return answer;
}

test('an upload that keeps coming is taken whatever it takes; one that falls silent is given up', async () => {
  const bytes = randomBytes(8);
  assert.match(await upload(bytes, SILENCE_MS / 4, 8), /^HTTP\/1\.1 201 /, 'twice as long as the silence');
  assert.equal(await upload(randomBytes(8), 0, 4), '');
});

test('a part that breaks off counts as far as it came; a whole upload that does is begun anew', async () => {
  const bytes = randomBytes(300_000);
  const part = { ...(await headersFor(bytes)), 'content-range': 'bytes 0-199999/300000' };
  const { hostname, port } = new URL(hub.url);
  const lines = Object.entries({ ...part, 'content-length': '200000' }).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(Number(port), hostname);
  socket.write(`PUT /blobs/${sha256Hex(bytes)} HTTP/1.1\r\nhost: ${new URL(hub.url).host}\r\n${lines.join('')}\r\n`);
  socket.write(bytes.subarray(0, 150_000));
  while ((await readdir(join(root, 'blobs', 'staging'))).length === 0) await sleep(10);
  socket.destroy();
  await once(socket, 'close');
  const rest = (from: number) =>
    fetch(urlOf(bytes), {
      method: 'PUT',
      body: bytes.subarray(from),
      headers: { ...part, 'content-range': `bytes ${from}-299999/300000` },
    });
  // Where it goes on nobody knows who was cut off; it is told, and no byte of what came is sent again.
  const told = await rest(250_000);
  const { received_bytes } = (await told.json()) as { received_bytes: number };
  assert.equal(told.status, 409);
  assert.ok(received_bytes > 0 && received_bytes <= 150_000, `${received_bytes}`);
  assert.equal((await rest(received_bytes)).status, 201);
  assert.deepEqual(await bodyOf(await get(bytes)), bytes);
});

test('what nobody takes is not kept: bytes of another hash, uploads that broke off', async () => {
  const bytes = randomBytes(100_000);
  const other = await fetch(urlOf(bytes), {
    method: 'PUT',
    body: randomBytes(100_000),
    headers: await headersFor(bytes),
  });
  assert.equal(((await other.json()) as { error: { code: string } }).error.code, 'wrong-hash');
  assert.equal(await upload(randomBytes(8), 0, 4), '');
  assert.deepEqual(await readdir(join(root, 'blobs', 'staging')), []);
});

test('a blob that is damaged on the disk is refused, or the connection is cut before its end', async () => {
  const bytes = Buffer.alloc(1 << 20, 3);
  await fetch(urlOf(bytes), { method: 'PUT', body: bytes, headers: await headersFor(bytes) });
  const hash = sha256Hex(bytes);
  const path = join(root, 'blobs', hash.slice(0, 2), hash.slice(2, 4), hash);
  const damage = async (): Promise<void> => {
    await writeFile(path, Buffer.alloc(1 << 20, 4));
    await utimes(path, 1000, 1000);
  };
  await damage();
  assert.equal((await get(bytes)).status, 500);
  await fetch(urlOf(bytes), { method: 'PUT', body: bytes, headers: await headersFor(bytes) });
  await utimes(path, 1000, 1000);
  assert.deepEqual(await bodyOf(await get(bytes)), bytes);
  await damage(); // behind the hub's back
  await assert.rejects(async () => bodyOf(await get(bytes)), TypeError);
  assert.equal((await get(bytes, { range: 'bytes=5-9' })).status, 500);
  assert.deepEqual(problems, Array(3).fill('blob-corrupt'), 'its operator hears of it');
});

test('uploads that were announced and hardly come take no room: others are taken', async () => {
  const { host, hostname, port } = new URL(hub.url);
  const sockets = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const unknown = randomBytes(32);
      const lines = Object.entries(await headersFor(unknown)).map(([name, value]) => `${name}: ${value}\r\n`);
      const socket = connect(Number(port), hostname);
      socket.on('error', () => {});
      const start = `PUT /blobs/${sha256Hex(unknown)} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${1 << 30}\r\n`;
      socket.write(`${start}${lines.join('')}\r\nx`);
      await once(socket, 'connect');
      return socket;
    }),
  );
  for (const size of [10, 2 << 20]) {
    const bytes = randomBytes(size);
    const put = await fetch(urlOf(bytes), { method: 'PUT', body: bytes, headers: await headersFor(bytes) });
    assert.equal(put.status, 201);
  }
  for (const socket of sockets) socket.destroy();
});

test('for readers who are gone, or do not read, nothing is read', async () => {
  const bytes = randomBytes(24 << 20);
  await fetch(urlOf(bytes), { method: 'PUT', body: bytes, headers: await headersFor(bytes) });
  const sent = async (): Promise<number> => {
    const metrics = await (await fetch(`${hub.url}/metrics`)).text();
    return Number(/potluck_blob_bytes_total\{direction="down"\} (\d+)/.exec(metrics)![1]);
  };
  const before = await sent();
  const { hostname, port } = new URL(hub.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET /blobs/${sha256Hex(bytes)} HTTP/1.1\r\nhost: ${new URL(hub.url).host}\r\n\r\n`);
  await once(socket, 'readable');
  let [last, now] = [-1, await sent()];
  while (now !== last) {
    await sleep(100);
    [last, now] = [now, await sent()];
  }
  const taken = now - before;
  assert.ok(taken > 0 && taken < bytes.length, `what the system's own buffers take, not all: ${taken}`);
  socket.destroy();
});
