// The page as the hub serves it: what its headers allow, what is cached, what strangers' names cannot do, and what is said when it is not built.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Hono } from 'hono';
import type { CodedError } from '../errors.ts';
import { systemClock } from '../protocol/clock.ts';
import { noteAskers } from './answers.ts';
import { type Hub, openHub } from './hub.ts';
import { servePage } from './page.ts';
import { cardOf, escapeHtml } from './page-card.ts';
import { openTransfers, TRANSFER_LIMITS } from './transfers.ts';

const root = mkdtempSync(join(tmpdir(), 'potluck-page-'));
const folder = join(root, 'web');
let hub: Hub;
const script = `console.log(${JSON.stringify('x'.repeat(2000))});`;

before(async () => {
  hub = await openHub({ folder: join(root, 'hub'), host: '127.0.0.1', port: 0, page: { folder } });
});
after(async () => {
  await hub.close();
  rmSync(root, { recursive: true, force: true });
});

const html = (path: string) => fetch(hub.url + path, { headers: { accept: 'text/html,*/*' } });

/** A request as it stands, without the decoding and the cleaning of paths that fetch does. */
function raw(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  const { hostname, port } = new URL(hub.url);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    asked.on('error', reject);
    asked.end();
  });
}

test('a page that is not built: it says so, asks again, and everything else works', async () => {
  const response = await html('/');
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  const text = await response.text();
  assert.match(text, /npm run build/);
  assert.match(text, /http-equiv="refresh"/);
  assert.equal((await fetch(`${hub.url}/status`)).status, 200);
});

describe('a page that is built', () => {
  before(() => {
    mkdirSync(join(folder, 'assets'), { recursive: true });
    writeFileSync(join(folder, 'index.html'), '<!doctype html><head><!--potluck:card--></head>');
    writeFileSync(join(folder, 'manifest.json'), '{"secret":"of the build"}');
    writeFileSync(join(folder, 'assets', 'main-abc.js'), script);
    writeFileSync(join(folder, 'assets', 'main-abc.js.gz'), gzipSync(script));
    writeFileSync(join(folder, 'assets', 'runtime-abc.wasm'), Uint8Array.of(0, 97, 115, 109));
    writeFileSync(join(folder, 'assets', 'leftover.ts'), 'x');
  });

  test('every view has the document, isolated, with a policy that lets nothing else in', async () => {
    for (const path of [
      '/',
      `/r/${'a'.repeat(64)}`,
      `/r/${'a'.repeat(64)}/device`,
      '/ledger',
      '/ledger/12',
      '/start',
    ]) {
      const response = await html(path);
      assert.equal(response.status, 200, path);
      assert.match(await response.text(), /og:title/, path);
      const header = (name: string) => response.headers.get(name) ?? '';
      const policy = header('content-security-policy');
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /script-src 'self' 'wasm-unsafe-eval'(;|$)/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.doesNotMatch(policy, /unsafe-inline|'unsafe-eval'|\*/);
      assert.equal(header('cross-origin-opener-policy'), 'same-origin');
      assert.equal(header('cross-origin-embedder-policy'), 'require-corp');
      assert.equal(header('x-content-type-options'), 'nosniff');
      assert.equal(header('referrer-policy'), 'no-referrer');
      assert.equal(header('cache-control'), 'no-cache');
      assert.equal(header('access-control-allow-origin'), '');
    }
    assert.equal((await html('/nowhere')).status, 404);
  });

  test('assets: their type, packed for whoever takes that, kept for ever, isolated as well', async () => {
    const packed = await raw('/assets/main-abc.js', { 'accept-encoding': 'gzip, br' });
    assert.equal(packed.headers['content-encoding'], 'gzip');
    assert.equal(packed.headers['content-length'], String(packed.body.length));
    assert.equal(gunzipSync(packed.body).toString(), script);
    const plain = await raw('/assets/main-abc.js');
    assert.equal(plain.headers['content-encoding'], undefined);
    assert.equal(plain.body.toString(), script);
    for (const { headers } of [packed, plain]) {
      assert.match(String(headers['content-type']), /^text\/javascript/);
      assert.match(String(headers['cache-control']), /max-age=31536000, immutable/);
      assert.equal(headers.vary, 'accept-encoding');
      assert.equal(headers['cross-origin-embedder-policy'], 'require-corp'); // else a worker made of it is refused
    }
    assert.equal((await raw('/assets/runtime-abc.wasm')).headers['content-type'], 'application/wasm');
  });

  test('the service worker: beside the document, asked for anew, with the policy of the page', async () => {
    assert.equal((await fetch(`${hub.url}/service-worker.js`)).status, 404); // a page without one
    writeFileSync(join(folder, 'service-worker.js'), script);
    const response = await fetch(`${hub.url}/service-worker.js`);
    assert.match(response.headers.get('content-type') ?? '', /^text\/javascript/);
    assert.equal(response.headers.get('cache-control'), 'no-cache');
    assert.match(response.headers.get('content-security-policy') ?? '', /connect-src 'self'/);
    assert.equal(await response.text(), script);
  });

  test('its files go down like blobs: as many at once as have a place, one for who asks only for the size, or is gone, none', async () => {
    const app = new Hono();
    app.onError((error, c) => c.text((error as CodedError).code, 503));
    noteAskers(app, () => null);
    const transfers = openTransfers(systemClock, { ...TRANSFER_LIMITS.down, places: 2 });
    servePage(app, { folder, public_url: null }, transfers);
    const get = async (method = 'GET') => app.request('/assets/main-abc.js', { method }, { incoming: { socket: {} } });
    const [first, second] = [await get(), await get()];
    assert.equal(transfers.count, 2);
    assert.equal(await (await get()).text(), 'busy');
    assert.equal((await get('HEAD')).headers.get('content-length'), String(script.length));
    await first.body?.cancel();
    assert.equal(transfers.count, 1);
    assert.equal(await (await get()).text(), script);
    await second.body?.cancel();
    assert.equal(transfers.count, 0);
  });

  test('nothing but assets is served', async () => {
    const paths = [
      '/assets/none.js',
      '/assets/leftover.ts',
      '/assets/main-abc.js.gz',
      '/assets/',
      '/manifest.json',
      '/assets/..%2fmanifest.json',
      '/assets/../../hub/hub.key',
      '/assets/..%2f..%2fhub%2fhub.key',
      '/assets/%2e%2e/manifest.json',
      '/assets/..\\manifest.json',
    ];
    for (const path of paths) {
      const { status } = await raw(path, { accept: 'text/html' });
      assert.ok(status === 404 || status === 400, `${path}: ${status}`);
    }
  });

  test('the picture of the card may be shown anywhere, and is named as a whole address', async () => {
    assert.equal((await fetch(`${hub.url}/card.png`)).status, 404); // a page without one
    const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47);
    writeFileSync(join(folder, 'card.png'), png);
    const response = await fetch(`${hub.url}/card.png`);
    assert.equal(response.headers.get('content-type'), 'image/png');
    assert.equal(response.headers.get('content-length'), '4');
    assert.match(response.headers.get('cache-control') ?? '', /^public, max-age=\d+$/);
    assert.equal(response.headers.get('cross-origin-resource-policy'), 'cross-origin');
    assert.deepEqual(new Uint8Array(await response.arrayBuffer()), png);
    const [, address] = /property="og:image" content="([^"]+)"/.exec(await (await html('/')).text()) ?? [];
    assert.equal(address, `${hub.url}/card.png`);
  });

  test('robots that accept anything get the page with its card; who asks for text gets text', async () => {
    for (const accept of ['*/*', 'text/html']) {
      assert.match((await raw('/', { accept })).body.toString(), /og:title/, accept);
    }
    assert.match((await raw('/')).body.toString(), /og:title/, 'without a word about what is accepted');
    const text = await fetch(hub.url, { headers: { accept: 'text/plain' } });
    assert.match(text.headers.get('content-type') ?? '', /^text\/plain/);
    assert.match(await text.text(), new RegExp(`potluck join ${hub.url}`));
  });

  test('addresses that do not exist: the page for people, JSON for programs', async () => {
    for (const path of ['/nonsense', '/r/abcdef123456', '/ledger/x']) {
      const page = await html(path);
      assert.equal(page.status, 404, path);
      assert.match(page.headers.get('content-type') ?? '', /^text\/html/, path);
      assert.match(await page.text(), /og:title/, path);
      const json = await fetch(hub.url + path);
      assert.equal(json.status, 404, path);
      assert.equal(((await json.json()) as { error: { code: string } }).error.code, 'not-found', path);
    }
    const slash = await raw('/start/?from=me', { accept: 'text/html' });
    assert.deepEqual([slash.status, slash.headers.location], [302, '/start?from=me']);
    assert.equal((await raw('/device', { accept: 'text/html' })).headers.location, '/');
    const away = await raw('//evil.example/', { accept: 'text/html' });
    assert.equal(away.headers.location, undefined);
  });
});

test('anybody may read what is public from any page of a hub that the world sees, and write from none', async (t) => {
  const hub = await openHub({
    folder: join(root, 'seen'),
    host: '127.0.0.1',
    port: 0,
    public_url: 'https://hub.example',
  });
  t.after(() => hub.close());
  const answered = ['/log/checkpoint', '/status', '/health', '/ready', `/accounts/${'0'.repeat(64)}`];
  for (const path of [...answered, `/blobs/${'0'.repeat(64)}`, `/runs/${'0'.repeat(64)}`]) {
    const response = await fetch(hub.url + path, { headers: { origin: 'https://auditor.example' } });
    assert.equal(response.headers.get('access-control-allow-origin'), '*', path);
    assert.equal(response.headers.get('cross-origin-resource-policy'), 'cross-origin', path);
  }
  for (const [method, path] of [
    ['PUT', `/blobs/${'0'.repeat(64)}`],
    ['POST', '/events'],
    ['POST', '/log/cosignature'],
  ]) {
    const asked = { origin: 'https://elsewhere.example', 'access-control-request-method': method };
    const preflight = await fetch(hub.url + path, { method: 'OPTIONS', headers: asked });
    assert.equal(preflight.headers.get('access-control-allow-origin'), null, path);
    const written = await fetch(hub.url + path, {
      method,
      body: 'x',
      headers: { origin: 'https://elsewhere.example' },
    });
    assert.equal(written.headers.get('access-control-allow-origin'), null, path);
  }
});

test("a card holds a stranger's name as text", () => {
  const name = `"><script>alert('1')</script>&`;
  const metrics = [{ name: 'loss_micro', words: 'validation loss', last: 2.5 }];
  const run = { run: 'a'.repeat(64), name, phase: 'working', round: 2, rounds: 9, peers: [], metrics };
  const card = cardOf('http://hub.example', run as unknown as Parameters<typeof cardOf>[1]);
  assert.ok(card.includes(escapeHtml(name)));
  assert.doesNotMatch(card, /<script/);
  assert.match(card, /round 2 of 9 \(at work\), 0 devices here, validation loss 2\.500/);
  assert.match(card, new RegExp(`content="http://hub.example/r/${'a'.repeat(64)}"`));
});
