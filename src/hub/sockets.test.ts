// Sockets that say nothing make room for whoever asks; who asks is served while they are held; descriptors are kept back for the disk.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { Hono } from 'hono';
import { descriptorsHere, divided } from './descriptors.ts';
import { serverOf } from './sockets.ts';

const SPARE = 16;

async function listening(most_sockets: number): Promise<{ server: Server; open: () => Promise<Socket>; url: string }> {
  const app = new Hono();
  app.get('/fine', (c) => c.text('fine'));
  app.put('/blobs/:hash', async (c) => c.text(String((await c.req.arrayBuffer()).byteLength)));
  const server = serverOf(app, 60_000, most_sockets);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const open = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  return { server, open, url: `http://127.0.0.1:${port}` };
}

test('the one that has been quiet for the longest makes room; one that carries a blob does not', async (t) => {
  const { server, open, url } = await listening(SPARE + 4);
  t.after(() => server.close().closeAllConnections());
  const busy = await open();
  busy.write('PUT /blobs/x HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\na');
  await once(server, 'request');
  const closed: number[] = [];
  for (let i = 0; i < 10; i++) {
    const socket = await open();
    socket.on('close', () => closed.push(i));
    socket.resume();
  }
  assert.equal(await (await fetch(`${url}/fine`)).text(), 'fine');
  while (closed.length < 8) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(closed.slice(0, 7), [0, 1, 2, 3, 4, 5, 6]);
  busy.write('b');
  const [answer] = await once(busy, 'data');
  assert.match(String(answer), /^HTTP\/1.1 200 /);
  // Now it is one of the quiet ones, and older than those that come.
  busy.resume();
  const order: string[] = [];
  busy.on('close', () => order.push('busy'));
  for (let i = 0; i < 30; i++) {
    const socket = await open();
    socket.on('close', () => order.push('later'));
    socket.resume();
  }
  while (order.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(order[0], 'busy');
});

test('no limit on a whole request, one on how long somebody may say nothing', async (t) => {
  const { server } = await listening(100);
  t.after(() => server.close());
  assert.equal(server.requestTimeout, 0);
  assert.equal(server.headersTimeout, 10_000);
  assert.equal(server.maxConnections, 100);
});

test('a quarter of the descriptors is for the disk', () => {
  assert.deepEqual(divided(1500), { sockets: 1125, files: 188 });
  assert.deepEqual(divided(1_048_576), { sockets: 25_000, files: 131_072 });
  assert.deepEqual(divided(128), { sockets: 64, files: 32 });
  const { sockets, files } = descriptorsHere();
  assert.ok(sockets > 0 && files > 0);
});
