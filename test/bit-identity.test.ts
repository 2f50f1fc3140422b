// The whole way of an update (compress, encode, decode, merge) gives the same bits in Node and in Chromium: whoever replays
// a run from its log, on whatever machine, ends at the same model.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { chromium } from 'playwright-core';
import { bitIdentityCase } from './bit-identity-case.ts';

const ROOT = join(import.meta.dirname, '..');
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** The packages that the modules under test import, as the page finds them. */
const IMPORTS = {
  zod: '/node_modules/zod/index.js',
  '@noble/hashes/': '/node_modules/@noble/hashes/',
};
const PAGE = `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`;

/** Serves the checkout to the page: TypeScript with its types stripped, JavaScript as it is, nothing else. */
function serveModules(): Promise<Server> {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://localhost').pathname));
    const kind = extname(path);
    const file = join(ROOT, path);
    if (path === '/') return response.setHeader('content-type', 'text/html').end(PAGE);
    if ((kind !== '.ts' && kind !== '.js') || !existsSync(file)) return response.writeHead(404).end();
    const source = readFileSync(file, 'utf8');
    response.setHeader('content-type', 'text/javascript');
    return response.end(kind === '.ts' ? stripTypeScriptTypes(source) : source);
  });
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server)));
}

const skip = !CHROMIUM && !process.env.CI ? 'no Chromium on this machine (CI must have one)' : false;

test('compress, encode, decode and merge give the same bits in Node and in Chromium', { skip }, async () => {
  assert.ok(CHROMIUM, 'CI needs Chromium: install the package "chromium"');
  const server = await serveModules();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const inChromium = await page.evaluate(
      "import('/test/bit-identity-case.ts').then(({ bitIdentityCase }) => bitIdentityCase())",
    );
    assert.deepEqual(inChromium, bitIdentityCase());
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
});

test('the bits are those that this version has always given', () => {
  // A change here is a change of the format or of the merge: runs in progress would fork. It needs a new version number.
  assert.deepEqual(bitIdentityCase(), {
    updates: '3abd6a86b73be8492c14779f5513ee62349b6910a9bc6bcc6497d83a9faa7a9b',
    weights: 'c728182fb6e4e65672e2988e3bb6520d37d1c20fa405c40649ae93c9075e0cdb',
    errors: '232acf9bc7e59a0eac498e8546ee8317811864d555d973502edeb0a0e46ebd22',
  });
});

test('the case is sensitive: another seed gives other bits at every stage', () => {
  const [one, other] = [bitIdentityCase(), bitIdentityCase('another seed')];
  for (const stage of ['updates', 'weights', 'errors'] as const) assert.notEqual(one[stage], other[stage]);
});
