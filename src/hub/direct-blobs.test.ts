// Blobs that do not pass the hub: who may upload what, how it counts, where downloads go, and that no sweep takes what is coming back.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { Hono } from 'hono';
import { initialState } from '../core/state.ts';
import { openS3BlobStore } from '../ledger/s3/blob-store.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { startS3Double } from '../ledger/testing/s3-double.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { answerTo, noteAskers } from './answers.ts';
import { serveBlobs } from './blob-routes.ts';
import { type DirectBlobs, serveDirect } from './direct-blobs.ts';
import { openMetrics } from './metrics.ts';
import { openRateLimits } from './rate-limits.ts';
import { GRACE_MS, sweepUnnamed } from './sweep.ts';
import { UNNAMED_BYTES, unnamedBlobs } from './unnamed-blobs.ts';

const identity = createIdentity();
const HUB = 'a'.repeat(64);

/** The routes of blobs over a bucket. What is set for later happens when the test lets it. */
async function opened(t: TestContext, changed: Partial<DirectBlobs> = {}) {
  const double = await startS3Double();
  const staging = await mkdtemp(join(tmpdir(), 'potluck-direct-'));
  t.after(async () => {
    await double.stop();
    await rm(staging, { recursive: true, force: true });
  });
  const { access_key_id, secret_access_key } = double;
  const s3 = openS3({ url: `${double.url}/${double.bucket}`, access_key_id, secret_access_key });
  const blobs = await openS3BlobStore(s3, { staging });
  const clock = handClock();
  const unnamed = unnamedBlobs();
  const app = new Hono();
  app.onError((error, c) => c.json({ code: answerTo(error).code }, answerTo(error).status));
  noteAskers(app, () => '192.0.2.1');
  const hub = {
    ...{ id: HUB, clock, blobs, unnamed, telemetry: new Map(), rates: openRateLimits(clock), metrics: openMetrics() },
    ...{ isKnown: () => false, mustHaveRoom: async () => {}, onError: assert.ifError },
  };
  let waiting: (() => void)[] = [];
  const soon = (run: () => void): void => void waiting.push(run);
  serveDirect(app, hub, { s3, uploads: true, cdn: null, ...changed }, soon);
  serveBlobs(app, hub);
  /** Everything that was set for later happens now. */
  const pass = async (): Promise<void> => {
    for (const run of waiting) run();
    waiting = [];
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  const request = (path: string, init?: RequestInit) => app.request(path, init, { incoming: null });
  return { double, blobs, unnamed, app: { request }, pass };
}

async function ask(
  app: { request(path: string, init?: RequestInit): Response | Promise<Response> },
  bytes: Uint8Array,
  changed: { hash?: string; signed?: string; size_bytes?: number } = {},
) {
  const { hash = sha256Hex(bytes), signed = hash, size_bytes = bytes.length } = changed;
  const signature = bytesToHex(await identity.sign(uploadChallenge(HUB, signed)));
  const body = JSON.stringify({ hash, size_bytes });
  const headers = {
    'x-potluck-peer': identity.id,
    'x-potluck-signature': signature,
    'content-length': String(body.length),
  };
  const response = await app.request('/uploads', { method: 'POST', body, headers });
  const said = (await response.json()) as {
    direct: { url: string; headers: Record<string, string> } | null;
    ever: boolean;
    code?: string;
  };
  return { status: response.status, ...said };
}

const send = async (
  { url, headers }: { url: string; headers: Record<string, string> },
  bytes: Uint8Array,
): Promise<number> => {
  const answer = await fetch(url, { method: 'PUT', headers, body: bytes as Uint8Array<ArrayBuffer> });
  await answer.arrayBuffer();
  return answer.status;
};

test('whoever signs for a hash may upload its bytes to the bucket, and nothing else', async (t) => {
  const { app, blobs, double } = await opened(t);
  const bytes = utf8('a work of somebody');
  const hash = sha256Hex(bytes);
  const { status, direct, ever } = await ask(app, bytes);
  assert.deepEqual([status, ever], [200, true]);
  assert.equal(await send(direct!, utf8('a work of somebodY')), 400);
  assert.equal(await send(direct!, utf8('a longer work of somebody')), 403);
  assert.equal(await blobs.has(hash), false);
  assert.equal(await send(direct!, bytes), 200);
  assert.deepEqual(await blobs.get(hash), bytes);
  assert.equal((await ask(app, bytes, { signed: sha256Hex(utf8('another')) })).status, 401);
  assert.equal((await ask(app, bytes, { hash: 'x' })).status, 400);
  assert.equal((await ask(app, bytes, { size_bytes: -1 })).status, 400);
  double.faults.ahead_ms = 400_000;
  assert.equal(await send((await ask(app, bytes)).direct!, bytes), 403, 'it is valid for five minutes');
});

test('an upload counts from when it is allowed; one that never comes counts no more after its time', async (t) => {
  const { app, unnamed, pass } = await opened(t);
  const [came, never] = [utf8('it comes'), utf8('it never comes')];
  assert.equal(await send((await ask(app, came)).direct!, came), 200);
  await ask(app, never);
  assert.deepEqual(unnamed.of(identity.id), new Set([sha256Hex(came), sha256Hex(never)]));
  await pass();
  assert.deepEqual(unnamed.of(identity.id), new Set([sha256Hex(came)]));
  const big = 60 << 20;
  for (let left = Math.floor(UNNAMED_BYTES.strangers / big); left > 0; left--) {
    unnamed.add({ peer: `other ${left}`, address: null }, sha256Hex(utf8(`${left}`)), big);
  }
  const late = await ask(app, utf8('one more'), { size_bytes: big });
  assert.deepEqual([late.status, late.code], [429, 'too-much']);
});

test('large blobs, and all blobs of a store that checks nothing, go through the hub', async (t) => {
  const { app } = await opened(t);
  const { direct, ever } = await ask(app, utf8('large'), { size_bytes: (64 << 20) + 1 });
  assert.deepEqual([direct, ever], [null, true]);
  const loose = await opened(t, { uploads: false });
  const answer = await ask(loose.app, utf8('any'));
  assert.deepEqual([answer.direct, answer.ever], [null, false]);
});

test('a download is sent to the bucket, where ranges work too, or to the CDN; HEAD is answered here', async (t) => {
  const { app, blobs } = await opened(t);
  const bytes = utf8('something to read');
  const hash = await blobs.put(bytes);
  const redirect = await app.request(`/blobs/${hash}`);
  assert.equal(redirect.status, 307);
  const location = redirect.headers.get('location')!;
  assert.deepEqual(new Uint8Array(await (await fetch(location)).arrayBuffer()), bytes);
  const part = await fetch(location, { headers: { range: 'bytes=10-' } });
  assert.deepEqual([part.status, await part.text()], [206, 'to read']);
  assert.equal((await app.request(`/blobs/${hash}`)).headers.get('location'), location, 'caches know it again');
  const head = await app.request(`/blobs/${hash}`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(bytes.length)]);
  assert.equal((await app.request('/blobs/nothing')).status, 400);
  const cdn = await opened(t, { cdn: 'https://cdn.example' });
  const there = await cdn.app.request(`/blobs/${hash}`);
  assert.equal(there.headers.get('location'), `https://cdn.example/blobs/${hash}`);
});

test('a sweep takes what is old and named by nothing, but not what somebody is just uploading again', async (t) => {
  const { app, blobs, unnamed, double, pass } = await opened(t);
  const [again, old] = [utf8('old, and uploaded again'), utf8('old')];
  for (const bytes of [again, old]) {
    const hash = await blobs.put(bytes);
    double.objects.get(`blobs/${hash}`)!.modified_ms -= 2 * GRACE_MS;
  }
  const time = { ahead_ms: () => 0, opened: { at_ms: Date.now(), away_ms: 0 } };
  const clock = { ...handClock(), now_ms: Date.now };
  const log = { size: 0, append: async () => 0, read: () => [] };
  const sweep = () =>
    sweepUnnamed({ blobs, log, state: initialState(HUB), unnamed, clock, time, onError: assert.ifError });
  const { direct } = await ask(app, again);
  assert.deepEqual(await sweep(), [sha256Hex(old)], 'the upload has only been allowed yet');
  assert.equal(await send(direct!, again), 200);
  assert.deepEqual(await sweep(), []);
  await pass();
  assert.deepEqual(await sweep(), [], 'it is new now');
  assert.deepEqual(await blobs.get(sha256Hex(again)), again);
});
