// A hub for its own machine answers no page of others: neither under their origin nor under a name of theirs that points at this machine.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { type Hub, openHub } from './hub.ts';
import { openOrigins } from './origins.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-origins-'));
const hubs: Hub[] = [];
const open = async (name: string, public_url?: string): Promise<Hub> => {
  const hub = await openHub({ folder: join(root, name), host: '127.0.0.1', port: 0, public_url });
  hubs.push(hub);
  return hub;
};
after(async () => {
  await Promise.all(hubs.map((hub) => hub.close()));
  rmSync(root, { recursive: true, force: true });
});

/** With headers that `fetch` does not let anybody set. */
async function ask(url: string, method: string, headers: Record<string, string>) {
  const sent = request(url, { method, headers });
  sent.end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const part of response) text += part;
  const code = /"code":"([^"]+)"/.exec(text)?.[1];
  return { status: response.statusCode as number, code, allowed: response.headers['access-control-allow-origin'] };
}

/** 'open' or what the hub says instead. */
async function webSocket(url: string, headers: Record<string, string>): Promise<string> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, { headers });
  const answer = new Promise<string>((resolve) => {
    socket.on('open', () => resolve('open'));
    socket.on('error', (error) => resolve(error.message));
  });
  const said = await answer;
  socket.terminate();
  return said;
}

const PATHS = ['/status', '/health', '/log/key', `/runs/${'0'.repeat(64)}`, `/blobs/${'0'.repeat(64)}`];
const EVIL = 'https://evil.example';

describe('a hub for its own machine', () => {
  let url = '';
  let host = '';
  before(async () => {
    ({ url } = await open('own'));
    ({ host } = new URL(url));
  });

  test('answers programs, and the page that it serves, and opens nothing to others', async () => {
    const port = new URL(url).port;
    for (const name of [host, `localhost:${port}`, `LOCALHOST:${port}`, `[::1]:${port}`, 'localhost']) {
      for (const path of PATHS) {
        const plain = await ask(url + path, 'GET', { host: name });
        assert.notEqual(plain.code, 'wrong-host', name);
        assert.equal(plain.allowed, undefined, path);
      }
      assert.equal(await webSocket(url, { host: name }), 'open');
      assert.equal(await webSocket(url, { host: name, origin: `http://${name}` }), 'open');
    }
  });

  test('refuses a name that somebody else points at it', async () => {
    for (const name of [
      'evil.example',
      'evil.example:7700',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '192.168.0.9',
    ]) {
      for (const path of [...PATHS, '/', '/metrics', '/events']) {
        const { status, code } = await ask(url + path, path === '/events' ? 'POST' : 'GET', { host: name });
        assert.deepEqual([status, code], [421, 'wrong-host'], `${name} ${path}`);
      }
      assert.match(await webSocket(url, { host: name, origin: `http://${name}` }), /403/);
    }
  });

  test('refuses pages of others, whatever they do', async () => {
    for (const origin of [EVIL, 'null', 'http://localhost', `http://${host}.evil.example`, 'http://127.0.0.1:1', '']) {
      for (const [method, path] of [
        ['GET', '/status'],
        ['PUT', PATHS[4]],
        ['POST', '/events'],
        ['OPTIONS', '/events'],
      ]) {
        const { status, code, allowed } = await ask(url + path, method, { origin });
        assert.deepEqual([status, code, allowed], [403, 'wrong-origin', undefined], `${origin} ${path}`);
      }
      assert.match(await webSocket(url, { origin }), /403/);
    }
  });
});

test('a hub that is told how the world sees it is open to readers, under any name', async () => {
  const { url } = await open('public', 'https://hub.example');
  for (const host of ['hub.example', 'other.example', new URL(url).host]) {
    const { status, allowed } = await ask(`${url}/status`, 'GET', { host, origin: EVIL });
    assert.deepEqual([status, allowed], [200, '*']);
    assert.equal(await webSocket(url, { host, origin: EVIL }), 'open');
  }
});

test('one that other machines can reach is open too', () => {
  for (const host of ['0.0.0.0', '::', '192.168.0.7', 'hub.example'])
    assert.ok(openOrigins({ host, public_url: null }).open, host);
  const own = openOrigins({ host: '127.0.0.1', public_url: null });
  for (const host of [undefined, '', ':80']) assert.throws(() => own.check({ host }), { code: 'wrong-host' });
  for (const host of ['127.0.0.1', '::1', 'localhost']) assert.ok(!openOrigins({ host, public_url: null }).open, host);
});
