// A proxy between that passes HTTP and no WebSocket: a device says so, and does not call the hub away because of it.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { createIdentity } from '../protocol/identity.ts';
import { connectToHub, type HubConnection } from './connection.ts';
import { webSockets } from './web-sockets.ts';

let server: Server;
let url: string;
let connection: HubConnection;
let upgrade: 'passes nothing on' | 'is too busy';
let away: string[];

beforeEach(async () => {
  away = [];
  server = createServer((_, response) => response.end('{"ok":"yes"}'));
  server.on('upgrade', (_, socket) => {
    socket.end(
      upgrade === 'is too busy' ? 'HTTP/1.1 429 Too Many Requests\r\n\r\n' : 'HTTP/1.1 400 Bad Request\r\n\r\n',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterEach(async () => {
  connection.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

/** Resolves with what is said of a blocked line, or after so many failures. */
const connect = (failures: number, answersHttp?: () => Promise<boolean>) =>
  new Promise<string | null>((resolve) => {
    const transport = { ...webSockets(url), random: () => -0.45, ...(answersHttp && { answersHttp }) }; // a tenth of the waits
    connection = connectToHub({
      ...{ transport, hub: 'b'.repeat(64), run: 'f'.repeat(64), role: 'worker', identity: createIdentity() },
      onWelcome() {},
      onRun() {},
      onAway(reason) {
        away.push(reason);
        if (away.length === failures) resolve(null);
      },
      onFatal() {},
      onBlocked: resolve,
    });
  });

test('that does not pass an upgrade on is told apart from a hub that is away, with its status', async () => {
  upgrade = 'passes nothing on';
  assert.equal(await connect(20), 'Unexpected server response: 400');
  assert.equal(away[0], 'Unexpected server response: 400');
});

test('is not suspected where the hub lets nobody in for now, or where HTTP fails as well', async () => {
  upgrade = 'is too busy';
  assert.equal(await connect(6), null);
  connection.close();
  upgrade = 'passes nothing on';
  away = [];
  assert.equal(await connect(6, async () => false), null);
});
