// Two devices with one key: the one that was there first is told, gives way for minutes and asks again; it pushes nobody out.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { type WebSocket, WebSocketServer } from 'ws';
import { systemClock } from '../protocol/clock.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { signEvent } from '../protocol/envelope.ts';
import type { FromHub } from '../protocol/from-hub.ts';
import { decodeFromPeer, type FromPeer } from '../protocol/from-peer.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { connectToHub, type HubConnection } from './connection.ts';
import { webSockets } from './web-sockets.ts';

const HUB = 'b'.repeat(64);
const RUN = 'f'.repeat(64);
const identity = createIdentity();
/** Minutes are a thousandth of their length; what is shorter than one is as it is. */
const clock = {
  ...systemClock,
  setTimeout: (run: () => void, ms: number) => systemClock.setTimeout(run, ms < 60_000 ? ms : ms / 1000),
};

let server: Server;
let connection: HubConnection | undefined;
let onMessage: (message: FromPeer, socket: WebSocket) => void;
const say = (socket: WebSocket, message: FromHub): void => socket.send(encodeMessage(message));

beforeEach(async () => {
  server = createServer();
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('message', (data: Buffer) => onMessage(decodeFromPeer(new Uint8Array(data)), socket));
    say(socket, { type: 'challenge', protocol: PROTOCOL_VERSION, hub: HUB, nonce: new Uint8Array(32) });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  connection?.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('the older one gives way, asks for its place only while nobody has it, and goes on when it is free', async () => {
  const hellos: { yields: boolean; at_ms: number }[] = [];
  const sendAway = (socket: WebSocket): void => {
    say(socket, { type: 'refused', event: null, code: 'key-in-use', message: 'another device has come' });
    socket.close(1008, 'key-in-use');
  };
  onMessage = (message, socket) => {
    if (message.type === 'event') return sendAway(socket);
    if (message.type !== 'hello') return;
    hellos.push({ yields: message.yields === true, at_ms: performance.now() });
    if (hellos.length === 2 || hellos.length === 3) return sendAway(socket);
    say(socket, { type: 'welcome', present: true, session: 1 });
  };
  const { port } = server.address() as { port: number };
  const transport = { ...webSockets(`http://127.0.0.1:${port}`), clock, random: () => 0.5 };
  const yielded: number[] = [];
  const away: string[] = [];
  const fatal: unknown[] = [];
  let welcomes = 0;
  let welcomed = () => {};
  const nextWelcome = () =>
    new Promise<void>((resolve) => {
      welcomed = resolve;
    });
  const first = nextWelcome();
  connection = connectToHub({
    ...{ transport, hub: HUB, run: RUN, role: 'worker', identity, onRun() {} },
    onWelcome() {
      welcomes++;
      welcomed();
    },
    onAway: (reason) => void away.push(reason),
    onFatal: (error) => void fatal.push(error),
    onYield: (wait_ms) => void yielded.push(wait_ms),
  });
  await first;
  const again = nextWelcome();
  const event = await signEvent(identity, { type: 'tick', version: 1, time_ms: 1 });
  await assert.rejects(() => connection!.submit(event), { code: 'key-in-use' });
  await assert.rejects(
    () => connection!.submit(event),
    { code: 'key-in-use' },
    'nothing waits for a place that is taken',
  );
  await again;
  assert.deepEqual(
    hellos.map(({ yields }) => yields),
    [false, true, true, true],
  );
  const waits_ms = hellos.slice(1).map(({ at_ms }, i) => at_ms - hellos[i].at_ms);
  for (const [i, least_ms] of [120, 240, 480].entries()) assert.ok(waits_ms[i] > least_ms - 10, `${waits_ms}`);
  assert.deepEqual([yielded, away, fatal, welcomes], [[120_000], [], [], 2]);
});
