// Runs this checkout's modules in Chromium, as they are: TypeScript with its types stripped, packages by an import map, no bundler.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { stripTypeScriptTypes } from 'node:module';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { CHROMIUM, launch, NO_GPU } from '../src/bench/chromium.ts';

const ROOT = join(import.meta.dirname, '..');
const { imports: NAMED }: { imports: Record<string, { browser: string }> } = JSON.parse(
  readFileSync(join(ROOT, 'package.json'), 'utf8'),
);
/** The packages that the modules under test import, as the page finds them, and modules of which browsers have their own. */
const IMPORTS = {
  ...Object.fromEntries(Object.entries(NAMED).map(([name, { browser }]) => [name, browser.slice(1)])),
  zod: '/node_modules/zod/index.js',
  '@noble/curves/': '/node_modules/@noble/curves/',
  '@noble/hashes/': '/node_modules/@noble/hashes/',
  '@ipld/dag-cbor': '/node_modules/@ipld/dag-cbor/src/index.js',
  cborg: '/node_modules/cborg/cborg.js',
  'multiformats/cid': '/node_modules/multiformats/dist/src/cid.js',
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

/** For `test`: why a test in Chromium is skipped. */
export const skip = !CHROMIUM && !process.env.CI ? 'no Chromium on this machine (CI must have one)' : false;

/** What a function that a module exports returns in Chromium; argument and result are JSON. */
export async function inChromium(module: string, name: string, argument?: unknown): Promise<unknown> {
  assert.ok(CHROMIUM, 'CI needs Chromium: install the package "chromium"');
  const server = await serveModules();
  const browser = await launch(NO_GPU);
  try {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    const call = `import('${module}').then((module) => module.${name}(${JSON.stringify(argument) ?? ''}))`;
    return await page.evaluate(call);
  } finally {
    await browser.close();
    server.closeAllConnections();
    server.close();
  }
}
