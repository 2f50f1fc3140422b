// Requests to a store that pauses, falls silent, breaks off, or is not listened to any longer.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { openHttp } from './transport.ts';

const SILENCE_MS = 400;
const HALF = new Uint8Array(70_000).fill(5);

/** A server that answers by a function, and a way to ask it. */
async function store(t: TestContext, answer: (response: ServerResponse) => unknown) {
  const sockets = new Set<unknown>();
  const server = createServer((request, response) => {
    sockets.add(request.socket);
    request.resume();
    response.writeHead(200, { 'content-length': 2 * HALF.length });
    void answer(response);
  });
  await once(server.listen(0), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const http = openHttp(origin);
  const ask = (method = 'GET') => http({ method, url: `${origin}/x`, headers: {}, silence_ms: SILENCE_MS });
  return { ask, sockets };
}

test('a store that pauses is waited for, piece by piece, and its connection is used again', async (t) => {
  const { ask, sockets } = await store(t, async (response) => {
    response.write(HALF);
    await pause(0.7 * SILENCE_MS);
    response.write(HALF.subarray(1));
    await pause(0.7 * SILENCE_MS);
    response.end(HALF.subarray(0, 1));
  });
  const whole = await (await ask()).all();
  assert.deepEqual(whole, new Uint8Array(2 * HALF.length).fill(5));
  let size_bytes = 0;
  for await (const piece of (await ask()).pieces()) size_bytes += piece.length;
  assert.equal(size_bytes, whole.length);
  assert.equal(sockets.size, 1);
});

test('an answer that breaks off, or falls silent, is none', async (t) => {
  const broken = await store(t, (response) => response.write(HALF, () => response.destroy()));
  await assert.rejects(async () => (await broken.ask()).all());
  await assert.rejects(async () => {
    for await (const piece of (await broken.ask()).pieces()) assert.ok(piece.length > 0);
  });
  const silent = await store(t, (response) => response.write(HALF));
  const says = { message: 'silent for 0.4 s' };
  await assert.rejects(async () => (await silent.ask()).all(), says);
  await assert.rejects(async () => {
    for await (const piece of (await silent.ask()).pieces()) assert.ok(piece.length > 0);
  }, says);
});

test('whoever reads no further ends the request', async (t) => {
  let closed = false;
  const { ask } = await store(t, async (response) => {
    response.once('close', () => {
      closed = true;
    });
    response.write(HALF);
  });
  for await (const piece of (await ask()).pieces()) {
    assert.ok(piece.length > 0);
    break;
  }
  for (const until_ms = performance.now() + 5000; !closed && performance.now() < until_ms; ) await pause(10);
  assert.ok(closed);
});
