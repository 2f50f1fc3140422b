// Uploads in parts: put together in order, gone on from where they were, within a limit on what unfinished ones hold.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { openHub } from './hub.ts';
import { openPartialUploads, uploadedPart } from './uploads.ts';

const bytes = (...values: number[]) => Uint8Array.from(values);

test('parts are put together in order; another one is told where to go on', () => {
  const uploads = openPartialUploads(manualClock());
  const part = (start: number, end: number) => ({ start, end, total: 5 });
  assert.deepEqual(uploads.add('a', part(2, 4), bytes(3, 4)), { state: 'elsewhere', received_bytes: 0 });
  assert.deepEqual(uploads.add('a', part(0, 2), bytes(1, 2)), { state: 'goes-on', received_bytes: 2 });
  assert.deepEqual(uploads.add('b', part(2, 4), bytes(3, 4)), { state: 'elsewhere', received_bytes: 0 });
  assert.deepEqual(uploads.add('a', part(3, 5), bytes(4, 5)), { state: 'elsewhere', received_bytes: 2 });
  assert.deepEqual(uploads.add('a', part(2, 4), bytes(3, 4)), { state: 'goes-on', received_bytes: 4 });
  assert.equal(uploads.held_bytes, 4);
  assert.deepEqual(uploads.add('a', part(4, 5), bytes(5)), { state: 'whole', bytes: bytes(1, 2, 3, 4, 5) });
  assert.equal(uploads.held_bytes, 0);
});

test('what is begun anew counts once; what is quiet for long, or too much, is forgotten', () => {
  const clock = manualClock();
  const uploads = openPartialUploads(clock, { held_bytes: 4, kept_ms: 1000 });
  const first = { start: 0, end: 2, total: 9 };
  uploads.add('a', first, bytes(1, 2));
  uploads.add('a', first, bytes(1, 2));
  assert.equal(uploads.held_bytes, 2);
  uploads.add('b', first, bytes(1, 2));
  uploads.add('c', first, bytes(1, 2));
  assert.equal(uploads.held_bytes, 4);
  assert.deepEqual(uploads.add('a', { start: 2, end: 3, total: 9 }, bytes(3)), {
    state: 'elsewhere',
    received_bytes: 0,
  });
  clock.at_ms = 2000;
  uploads.add('d', first, bytes(1, 2));
  assert.equal(uploads.held_bytes, 2);
});

test('a header names a part, or none', () => {
  assert.deepEqual(uploadedPart('bytes 0-9/20'), { start: 0, end: 10, total: 20 });
  for (const header of ['', 'bytes 5-4/20', 'bytes 0-20/20', 'bytes */20', 'bytes 0-1/*', 'items 0-1/2']) {
    assert.equal(uploadedPart(header), null);
  }
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

function manualClock() {
  return {
    at_ms: 0,
    now_ms: () => 0,
    elapsed_ms() {
      return this.at_ms;
    },
    setTimeout: () => undefined,
    clearTimeout() {},
  };
}
