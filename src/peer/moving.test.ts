// A device whose process of the hub is killed, or stands still, is at another one before the hub could write that it has left.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { encodeMessage } from '../protocol/encode-message.ts';
import { decodeFromPeer } from '../protocol/from-peer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { openPeerBlobs } from './blobs.ts';
import { connectToHub } from './connection.ts';
import { openFronts } from './fronts.ts';
import { webSockets } from './web-sockets.ts';

const HUB = 'b'.repeat(64);
/** A hub knows after 3.5 s that one of its processes is gone, and gives its devices 5 s. */
const LEAVE_AFTER_MS = 8500;

interface Front {
  readonly url: string;
  kill(): void;
  freeze(): void;
}

/** A process of a hub that welcomes everybody and names `urls`. */
async function startFront(t: TestContext, name: string, urls: string[], heard: string[]): Promise<Front> {
  let frozen = false;
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    if (frozen) return;
    const fronts = urls.map((url) => ({ url, region: null }));
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/fronts' ? { fronts } : { ok: true }));
  });
  const welcomer = new WebSocketServer({ noServer: true });
  const serve = (socket: WebSocket): void => {
    socket.send(encodeMessage({ type: 'challenge', protocol: PROTOCOL_VERSION, hub: HUB, nonce: new Uint8Array(32) }));
    socket.on('message', (frame: Buffer) => {
      if (decodeFromPeer(frame).type !== 'hello') return;
      heard.push(name);
      socket.send(encodeMessage({ type: 'welcome', present: true, session: 0 }));
    });
  };
  server.on('connection', (socket) => {
    sockets.add(socket);
    if (frozen) socket.pause();
  });
  server.on('upgrade', (request, socket, head) => {
    if (!frozen) welcomer.handleUpgrade(request, socket, head, serve);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const kill = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  t.after(kill);
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  urls.push(url);
  return {
    url,
    kill,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
  };
}

/** Lets a device connect, ends its process of the hub in one way, and resolves to how long it was away. */
async function awayAfter(t: TestContext, end: 'kill' | 'freeze'): Promise<number> {
  const [urls, heard]: [string[], string[]] = [[], []];
  const ends = [await startFront(t, '0', urls, heard), await startFront(t, '1', urls, heard)];
  const fronts = openFronts({ url: urls[0] });
  await fronts.measure();
  assert.equal(fronts.several, true);
  let welcomed = (): void => {};
  const untilWelcome = (): Promise<void> =>
    new Promise((resolve) => {
      welcomed = resolve;
    });
  const first = untilWelcome();
  const connection = connectToHub({
    ...{ transport: webSockets(fronts), hub: HUB, run: 'f'.repeat(64), role: 'worker', identity: createIdentity() },
    onWelcome: () => welcomed(),
    onRun() {},
    onAway() {},
    onFatal: (error) => assert.fail(error),
  });
  t.after(() => connection.close());
  await first;
  const at = Number(heard[0]);
  const again = untilWelcome();
  const from_ms = performance.now();
  ends[at][end]();
  await again;
  assert.deepEqual(heard, [String(at), String(1 - at)]);
  return performance.now() - from_ms;
}

describe('a device whose process of the hub', { concurrency: true }, () => {
  test('is killed is at another one at once', { timeout: 20_000 }, async (t) => {
    const away_ms = await awayAfter(t, 'kill');
    assert.ok(away_ms < 3000, `${away_ms} ms`);
  });

  test('stands still is at another one before its leave is written', { timeout: 20_000 }, async (t) => {
    const away_ms = await awayAfter(t, 'freeze');
    assert.ok(away_ms < LEAVE_AFTER_MS, `${away_ms} ms`);
  });
});

test('what a device fetches and uploads goes on at the other process', { timeout: 20_000 }, async (t) => {
  const bytes = new Uint8Array([1, 2, 3]);
  const uploads: string[] = [];
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') return response.end(bytes);
    uploads.push(`${request.method} ${request.url}`);
    response.statusCode = request.method === 'PUT' ? 201 : 404;
    response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  let url = 'http://127.0.0.1:1';
  const cache = { get: async () => null, put: async () => {} };
  const blobs = openPeerBlobs({
    ...{ url: () => url, hub: HUB, identity: createIdentity(), cache, patient: true, first_wait_ms: 5000 },
    onTransfer: () => {},
  });
  t.after(() => blobs.close());
  const both = Promise.all([blobs.fetch(sha256Hex(bytes)), blobs.upload(bytes)]);
  await new Promise((resolve) => setTimeout(resolve, 100)); // both have failed once
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  blobs.renew();
  const [fetched, hash] = await both;
  assert.deepEqual([...fetched], [1, 2, 3]);
  assert.ok(uploads.includes(`PUT /blobs/${hash}`), uploads.join());
});
