// Uploads in parts: put together in order, gone on from where they were, within a limit on what unfinished ones hold.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { Hono } from 'hono';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { sleep, systemClock } from '../protocol/clock.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { openHub } from './hub.ts';
import { openMetrics } from './metrics.ts';
import { openRateLimits } from './rate-limits.ts';
import { receiver } from './receive-blobs.ts';
import { openTurns } from './turns.ts';
import { UNNAMED_BYTES, unnamedBlobs } from './unnamed-blobs.ts';
import { openPartialUploads, type Part, unfinishedLimits, uploadedPart } from './uploads.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);
const GENEROUS = { held_bytes: 100, held: 100, kept_ms: 1000 };

/** Uploads to a store in memory on a clock that the test moves. */
function opened(limits = GENEROUS) {
  const clock = { ...systemClock, at_ms: 0, elapsed_ms: () => clock.at_ms };
  const blobs = createMemoryBlobStore();
  const unnamed = unnamedBlobs();
  const uploads = openPartialUploads(clock, limits);
  const claim = (id: string, part: Part, onTaken = () => {}) =>
    uploads.claim(
      id,
      part,
      () => ({ draft: blobs.draft(), arriving: unnamed.arriving({ peer: id, address: null }) }),
      onTaken,
    );
  /** Adds a part; resolves with how much has come, or with the whole. */
  const add = async (id: string, [start, end]: [number, number], sent: Uint8Array, total = 5) => {
    const claimed = await claim(id, { start, end, total });
    if (!('draft' in claimed)) return claimed.received_bytes;
    await claimed.draft.write(sent);
    if (end < total) claimed.release();
    else claimed.end();
    return end < total ? claimed.draft.size_bytes : claimed.draft.hash;
  };
  return { clock, claim, add };
}

test('parts are put together in order; another one is told where to go on', async () => {
  const { add } = opened();
  assert.equal(await add('a', [2, 4], bytes(3, 4)), 0);
  assert.equal(await add('a', [0, 2], bytes(1, 2)), 2);
  assert.equal(await add('b', [2, 4], bytes(3, 4)), 0, 'of somebody else');
  assert.equal(await add('a', [3, 5], bytes(4, 5)), 2);
  assert.equal(await add('a', [2, 4], bytes(3, 4)), 4);
  assert.equal(await add('a', [4, 5], bytes(5)), sha256Hex(bytes(1, 2, 3, 4, 5)));
  assert.equal(await add('a', [4, 5], bytes(5)), 0, 'what is whole is not remembered');
});

test('what is begun anew counts once; what is quiet for long, or too much, is forgotten, the quietest first', async () => {
  const { add, clock } = opened({ ...GENEROUS, held_bytes: 4 });
  await add('a', [0, 2], bytes(1, 2));
  await add('a', [0, 2], bytes(1, 2));
  await add('b', [0, 2], bytes(1, 2));
  assert.equal(await add('a', [2, 3], bytes(3)), 3);
  await add('c', [0, 1], bytes(1)); // five bytes with those of a and b: b was quiet for longer
  assert.equal(await add('b', [2, 3], bytes(3)), 0);
  assert.equal(await add('a', [3, 4], bytes(4)), 4);
  clock.at_ms = 2000;
  assert.equal(await add('a', [4, 5], bytes(5)), 0);
});

test('so many unfinished ones and no more', async () => {
  const { add } = opened({ ...GENEROUS, held: 2 });
  for (const id of ['a', 'b', 'c']) await add(id, [0, 1], bytes(1));
  assert.deepEqual([await add('a', [1, 2], bytes(2)), await add('c', [1, 2], bytes(2))], [0, 2]);
});

test('what strangers leave unfinished takes little memory, few descriptors, and no room of those who take part', () => {
  const held = (files: number) => Object.values(unfinishedLimits(files)).map((limits) => limits.held);
  assert.deepEqual(held(100_000), [3000, 500]);
  assert.deepEqual(held(512), [256, 64]);
});

test('an upload that somebody is at is not forgotten, however long it takes', async () => {
  const { claim, add, clock } = opened();
  const slow = await claim('a', { start: 0, end: 3, total: 5 });
  assert.ok('draft' in slow);
  await slow.draft.write(bytes(1, 2));
  clock.at_ms = 5000;
  await add('b', [0, 1], bytes(1));
  await slow.draft.write(bytes(3));
  slow.release();
  assert.equal(await add('a', [3, 5], bytes(4, 5)), sha256Hex(bytes(1, 2, 3, 4, 5)));
});

test('a device that comes back ends the request that it lost, and goes on after it', async () => {
  const { claim, add } = opened();
  const lost = await claim('a', { start: 0, end: 5, total: 5 }, () => ending());
  assert.ok('draft' in lost);
  const ending = async () => {
    await lost.draft.write(bytes(1, 2)); // a piece that was being written
    lost.release();
  };
  assert.equal(await add('a', [1, 5], bytes(2, 3, 4, 5)), 2);
  assert.equal(await add('a', [2, 5], bytes(3, 4, 5)), sha256Hex(bytes(1, 2, 3, 4, 5)));
});

test('a header names a part, or none', () => {
  assert.deepEqual(uploadedPart('bytes 0-9/20'), { start: 0, end: 10, total: 20 });
  for (const header of ['', 'bytes 5-4/20', 'bytes 0-20/20', 'bytes */20', 'bytes 0-1/*', 'items 0-1/2']) {
    assert.equal(uploadedPart(header), null);
  }
});

test('the last part, sent again while the blob is made durable, is answered when it is; until then it counts', async () => {
  const blobs = createMemoryBlobStore();
  const [began, slow] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const identity = createIdentity();
  const hub = {
    ...{ id: identity.id, clock: systemClock, telemetry: new Map(), rates: openRateLimits(systemClock) },
    ...{ metrics: openMetrics(), isKnown: () => false, mustHaveRoom: async () => {}, onError: assert.ifError },
    unnamed: unnamedBlobs(),
    turns: { pieces: openTurns(1), syncs: openTurns(1) },
    blobs: {
      ...blobs,
      draft() {
        const draft = blobs.draft();
        return Object.assign(Object.create(draft), {
          async keep() {
            began.resolve();
            await slow.promise;
            return draft.keep();
          },
        });
      },
    },
  };
  const app = new Hono();
  app.use((c, next) => {
    c.set('asker', null);
    return next();
  });
  app.put('/blobs/:hash', receiver(hub));
  const blob = new TextEncoder().encode('in two parts');
  const hash = sha256Hex(blob);
  const signature = bytesToHex(await identity.sign(uploadChallenge(hub.id, hash)));
  const put = (first: number, last: number) =>
    app.request(
      `/blobs/${hash}`,
      {
        method: 'PUT',
        body: blob.subarray(first, last + 1) as Uint8Array<ArrayBuffer>,
        headers: {
          ...{ 'x-potluck-peer': identity.id, 'x-potluck-signature': signature },
          ...{ 'content-length': `${last + 1 - first}`, 'content-range': `bytes ${first}-${last}/${blob.length}` },
        },
      },
      {},
    );
  assert.equal((await put(0, 5)).status, 202);
  const lost = put(6, 11);
  await began.promise;
  const again = put(6, 11);
  const early = await Promise.race([again, sleep(systemClock, 50)]);
  assert.equal(early, undefined, 'nobody is told to begin anew');
  const who = { peer: identity.id, address: null };
  assert.throws(() => hub.unnamed.mustFit(who, UNNAMED_BYTES.key - blob.length + 1), { code: 'too-much' });
  slow.resolve();
  assert.deepEqual([(await lost).status, (await again).status], [201, 201]);
  assert.throws(() => hub.unnamed.mustFit(who, UNNAMED_BYTES.key - blob.length + 1), { code: 'too-much' });
  hub.unnamed.mustFit(who, UNNAMED_BYTES.key - blob.length);
});

test('a hub takes a blob in parts', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-parts-'));
  const hub = await openHub({ folder, host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await hub.close();
    rmSync(folder, { recursive: true });
  });
  const identity = createIdentity();
  const blob = new TextEncoder().encode('a blob in three parts');
  const hash = sha256Hex(blob);
  const signature = bytesToHex(await identity.sign(uploadChallenge(hub.id, hash)));
  const put = (range: string, body: Uint8Array) =>
    fetch(`${hub.url}/blobs/${hash}`, {
      method: 'PUT',
      body: body as Uint8Array<ArrayBuffer>,
      headers: { 'x-potluck-peer': identity.id, 'x-potluck-signature': signature, 'content-range': range },
    });
  const received = async (response: Response) => [response.status, (await response.json()).received_bytes];
  assert.deepEqual(await received(await put('bytes 0-7/21', blob.subarray(0, 8))), [202, 8]);
  assert.deepEqual(await received(await put('bytes 10-15/21', blob.subarray(10, 16))), [409, 8]);
  assert.equal((await put('bytes 8-9/21', blob.subarray(8, 16))).status, 400);
  assert.equal((await fetch(`${hub.url}/blobs/${hash}`)).status, 404);
  assert.equal((await put('bytes 8-20/21', blob.subarray(8))).status, 201);
  assert.equal((await put('bytes 8-20/21', blob.subarray(8))).status, 201, 'the answer may have been lost');
  assert.deepEqual(new Uint8Array(await (await fetch(`${hub.url}/blobs/${hash}`)).arrayBuffer()), blob);
});
