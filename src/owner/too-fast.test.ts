// A hub that says "too fast": a peer waits and tries again, and neither its owner nor its round hears of it.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { openPeerBlobs } from '../peer/blobs.ts';
import { connectToHub, type HubConnection } from '../peer/connection.ts';
import { sendEvent } from '../peer/send-event.ts';
import { webSockets } from '../peer/web-sockets.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { FromHub } from '../protocol/from-hub.ts';
import { decodeFromPeer, type FromPeer } from '../protocol/from-peer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';

const HUB = 'b'.repeat(64);
const RUN = 'f'.repeat(64);
const identity = await createIdentity();
let server: Server;
let url: string;
let http: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end();
let onMessage: (message: FromPeer, socket: WebSocket) => void;
let connection: HubConnection | undefined;

const say = (socket: WebSocket, message: FromHub): void => socket.send(encodeMessage(message));

beforeEach(async () => {
  server = createServer((request, response) => http(request, response));
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (data: Buffer) => onMessage(decodeFromPeer(new Uint8Array(data)), socket));
    say(socket, { type: 'challenge', protocol: PROTOCOL_VERSION, hub: HUB, nonce: new Uint8Array(32) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterEach(async () => {
  connection?.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const connect = (onWelcome: () => void): Promise<Error> =>
  new Promise((resolve) => {
    const transport = { ...webSockets(url), random: () => 0 };
    const onRun = (): void => {};
    const onAway = (): void => {};
    connection = connectToHub({
      transport,
      hub: HUB,
      run: RUN,
      role: 'worker',
      identity,
      onWelcome,
      onRun,
      onAway,
      onFatal: resolve,
    });
  });

test('of an event: it is sent again, and the answer that counts is the one after that', async () => {
  const came: string[] = [];
  onMessage = (message, socket) => {
    if (message.type === 'hello') say(socket, { type: 'welcome', present: true, session: 1 });
    if (message.type !== 'event') return;
    const event = sha256Hex(message.event);
    came.push(event);
    const code = came.length === 1 ? 'too-fast' : 'not-present';
    say(socket, { type: 'refused', event, code, message: 'no' });
  };
  const event = await signEvent(identity, { type: 'tick', version: 1, time_ms: 1 });
  await new Promise<void>((resolve) => void connect(resolve));
  await assert.rejects(
    () => connection!.submit(event),
    (error: { details?: { refusal?: string } }) => error.details?.refusal === 'not-present',
  );
  assert.deepEqual(came, [sha256Hex(event), sha256Hex(event)]);
});

test('of a connection: it is tried again as if the hub had been away', async () => {
  let hellos = 0;
  onMessage = (message, socket) => {
    if (message.type !== 'hello') return;
    if (++hellos > 1) return say(socket, { type: 'welcome', present: true, session: 1 });
    say(socket, { type: 'refused', event: null, code: 'too-fast', message: 'slowly' });
    socket.close(1008, 'too-fast');
  };
  const ended = await new Promise((resolve) => void connect(() => resolve('welcome')).then(resolve));
  assert.equal(ended, 'welcome');
  assert.equal(hellos, 2);
});

test('of an upload: it is made again after as long as the hub asks', async () => {
  const came_ms: number[] = [];
  http = (request, response) => {
    if (request.method !== 'PUT') return response.writeHead(404).end('{}'); // a hub without a bucket
    came_ms.push(performance.now());
    if (came_ms.length === 1) response.writeHead(429, { 'retry-after': '1' }).end('{}');
    else response.writeHead(201).end('{}');
  };
  const cache = { get: async () => null, put: async () => {} };
  const blobs = openPeerBlobs({ url, hub: HUB, identity, cache, first_wait_ms: 1 });
  const bytes = new Uint8Array([1, 2, 3]);
  assert.equal(await blobs.upload(bytes), sha256Hex(bytes));
  assert.equal(came_ms.length, 2);
  assert.ok(came_ms[1] - came_ms[0] > 900, `${came_ms[1] - came_ms[0]} ms`);
});

/** A hub that answers an event with each of these in turn, then takes it. */
function answers(...errors: { code: string; message: string; details?: object }[]): number[] {
  const came_ms: number[] = [];
  http = (_, response) => {
    const error = errors[came_ms.push(performance.now()) - 1];
    if (error) response.writeHead(429).end(JSON.stringify({ error }));
    else response.writeHead(201).end(JSON.stringify({ event: 'e' }));
  };
  return came_ms;
}
const tooFast = (retry_after_s: number) => ({ code: 'too-fast', message: 'slowly', details: { retry_after_s } });
const bytes = new Uint8Array([1]);

test('of an event over HTTP: a command waits as long as the hub asks and sends it again', async () => {
  const came_ms = answers(tooFast(0), tooFast(1));
  assert.equal(await sendEvent(url, bytes), 'e');
  assert.equal(came_ms.length, 3);
  assert.ok(came_ms[2] - came_ms[1] > 900, `${came_ms[2] - came_ms[1]} ms`);
});

test('of an event over HTTP: not for ever, not for hours, and what is refused for another reason is said at once', async () => {
  const refusedAs = (refusal: string) => (error: { code?: string; details?: { refusal?: string } }) =>
    error.code === 'refused' && error.details?.refusal === refusal;
  const always = answers(...Array.from({ length: 9 }, () => tooFast(0)));
  await assert.rejects(() => sendEvent(url, bytes), refusedAs('too-fast'));
  assert.equal(always.length, 5);
  const hours = answers(tooFast(7200));
  await assert.rejects(() => sendEvent(url, bytes), refusedAs('too-fast'));
  assert.equal(hours.length, 1);
  const core = answers({ code: 'refused', message: 'no', details: { refusal: 'not-locked' } });
  await assert.rejects(() => sendEvent(url, bytes), refusedAs('not-locked'));
  assert.equal(core.length, 1);
});
