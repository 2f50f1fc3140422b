// The examples of docs/operating.md, run: through nginx and through Caddy everything passes that a hub and its peers say to each other.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesToHex } from '@noble/hashes/utils.js';
import { WebSocket } from 'ws';
import { openHub } from '../src/hub/hub.ts';
import { decodeFromHub } from '../src/protocol/from-hub.ts';
import { sha256Hex } from '../src/protocol/hash.ts';
import { createIdentity } from '../src/protocol/identity.ts';
import { uploadChallenge } from '../src/protocol/messages.ts';
import { freePorts } from '../src/protocol/testing/free-ports.ts';

const EXAMPLES = join(import.meta.dirname, '..', 'docs', 'operating');
/** Above what nginx takes as it comes. */
const BLOB_BYTES = 3 << 20;
const has = (program: string): boolean => spawnSync(program, ['-v'], { stdio: 'ignore' }).error === undefined;
const read = (name: string): string => readFileSync(join(EXAMPLES, name), 'utf8');

/** The example for nginx on a port of ours, without TLS and in a folder of its own. */
function nginxConfig(port: number, hub: string, dir: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${dir}/${name};`,
  );
  return `daemon off; pid ${dir}/pid; error_log ${dir}/errors;\n${read('nginx.conf')
    .replace('listen 443 ssl;', `listen 127.0.0.1:${port};`)
    .replace(/\n *ssl_certificate[^;]*;/g, '')
    .replace('127.0.0.1:7700', hub)
    .replace('http {', `http { access_log off; ${temporary.join(' ')}`)}`;
}

const caddyConfig = (port: number, hub: string): string =>
  `{\n\tadmin off\n\tauto_https off\n}\n${read('Caddyfile')
    .replace(/^hub\.example\.org \{/m, `http://127.0.0.1:${port} {`)
    .replace('127.0.0.1:7700', hub)}`;

async function passes(t: TestContext, start: (port: number, hub: string, dir: string) => ChildProcess): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'potluck-proxy-'));
  const hub = await openHub({ folder: join(dir, 'hub'), host: '127.0.0.1', port: 0 });
  const [port] = await freePorts(1);
  const proxy = start(port, new URL(hub.url).host, dir);
  const ended = once(proxy, 'exit');
  t.after(async () => {
    proxy.kill('SIGTERM');
    await ended;
    await hub.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  const up = () =>
    fetch(`${url}/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  for (let tries = 0; !(await up()); tries++) {
    assert.ok(tries < 200 && proxy.exitCode === null, 'the proxy does not listen');
    await sleep(50);
  }
  const identity = createIdentity();
  const bytes = randomBytes(BLOB_BYTES);
  const hash = sha256Hex(bytes);
  const signature = bytesToHex(await identity.sign(uploadChallenge(hub.id, hash)));
  const headers = { 'x-potluck-peer': identity.id, 'x-potluck-signature': signature };
  const put = await fetch(`${url}/blobs/${hash}`, { method: 'PUT', body: bytes, headers });
  assert.equal(put.status, 201, await put.text());
  const rest = await fetch(`${url}/blobs/${hash}`, { headers: { range: 'bytes=1000000-' } });
  assert.equal(rest.status, 206);
  assert.equal(rest.headers.get('etag'), `"${hash}"`);
  assert.deepEqual(Buffer.from(await rest.arrayBuffer()), bytes.subarray(1_000_000));
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`);
  const [frame] = (await once(socket, 'message')) as [Buffer];
  const greeting = decodeFromHub(new Uint8Array(frame));
  assert.equal(greeting.type === 'challenge' && greeting.hub, hub.id);
  socket.close();
  await once(socket, 'close');
}

test('nginx', { skip: !has('nginx') && 'nginx is not installed' }, (t) =>
  passes(t, (port, hub, dir) => {
    const file = join(dir, 'nginx.conf');
    writeFileSync(file, nginxConfig(port, hub, dir));
    return spawn('nginx', ['-p', dir, '-c', file, '-e', join(dir, 'errors')], { stdio: 'ignore' });
  }),
);

test('Caddy', { skip: !has('caddy') && 'Caddy is not installed' }, (t) =>
  passes(t, (port, hub, dir) => {
    const file = join(dir, 'Caddyfile');
    writeFileSync(file, caddyConfig(port, hub));
    const env = { ...process.env, HOME: dir, XDG_DATA_HOME: dir, XDG_CONFIG_HOME: dir };
    return spawn('caddy', ['run', '--config', file, '--adapter', 'caddyfile'], { stdio: 'ignore', env });
  }),
);
