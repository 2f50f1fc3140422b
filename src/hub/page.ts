// Serves the page: the built files unchanged, with headers that allow what they need and nothing else.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Context, Hono } from 'hono';
import { piecesOf } from '../ledger/verified-files.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { addressOfAsker } from './answers.ts';
import { carriedBy, cutOff } from './carried.ts';
import { addressOfView } from './page-addresses.ts';
import { CARD_PATH, cardOf, escapeHtml } from './page-card.ts';
import type { Transfers } from './transfers.ts';

export interface PageOptions {
  /** The folder of the built page, which may not be built yet. */
  readonly folder: string;
  /** The hub's public URL, for links that are shared; null: the address that the client used. */
  readonly public_url: string | null;
  /** Origins beside the hub's own where its blobs are. */
  readonly blobs_at?: readonly string[];
}

/**
 * What a document or script of the page may do. `wasm-unsafe-eval` compiles WebAssembly but evaluates no text. There is no inline
 * script or style, nothing but blobs comes from another host, and nothing can frame the page.
 */
const policyWith = (blobs_at: readonly string[]): string =>
  [
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    ["connect-src 'self'", ...blobs_at].join(' '),
    "frame-src 'self'", // the sandbox of a game (game-frame.ts)
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');

const headersOf = (page: PageOptions | null) => ({
  'content-security-policy': policyWith(page?.blobs_at ?? []),
  // Together they isolate the page, which browsers demand for memory shared between threads.
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'camera=(self), geolocation=(), microphone=()',
});

const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript; charset=utf-8',
  mjs: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  wasm: 'application/wasm',
  svg: 'image/svg+xml',
  png: 'image/png',
  json: 'application/json',
};
const ASSET = /^[\w.-]+\.(\w+)$/;
const FOREVER = 'public, max-age=31536000, immutable';
/** The address that a waiting document asks for again while the page is being built, which takes a few seconds. */
const RETRY_S = 3;
/** The service worker lets the page open when the hub is unreachable. It controls addresses below its own, so it is beside the document. */
const SERVICE_WORKER = '/service-worker.js';

/** What anybody may read from any origin: the log, its blobs and the state are public, and no answer depends on who asks. */
const PUBLIC_PATHS = ['/log/*', '/blobs/*', '/status', '/runs/*', '/accounts/*', '/fleet', '/health', '/ready'];

/**
 * Lets scripts of other pages read what is public, so that an auditor need not trust the page that this hub serves. Writing stays closed.
 * @param open false: only pages of this hub's own origin
 */
export function openToReaders(app: Hono, open: boolean): void {
  for (const path of PUBLIC_PATHS) {
    app.use(path, async (c, next) => {
      await next();
      if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return;
      c.header('x-content-type-options', 'nosniff');
      c.header('cross-origin-resource-policy', open ? 'cross-origin' : 'same-origin');
      if (!open) return;
      c.header('access-control-allow-origin', '*');
      c.header('access-control-expose-headers', 'accept-ranges, content-range, etag');
    });
  }
}

/** Adds the page's views to an app. Call it last: it also answers all addresses that nothing else answers. */
export function serveViews(app: Hono, page: PageOptions | null, statuses: () => RunStatus[]): void {
  const headers = headersOf(page);
  app.get('*', async (c) => {
    const { path } = c.req;
    const accepts = c.req.header('accept') ?? '*/*';
    const found = addressOfView(path, statuses());
    if (found.kind === 'elsewhere') return c.redirect(found.to + new URL(c.req.url).search, 302);
    // Programs get JSON for an unknown address. Robots that draw previews accept anything and get the page, with its card.
    if (found.kind === 'none' && !accepts.includes('text/html')) return c.notFound();
    const origin = page?.public_url ?? new URL(c.req.url).origin;
    const takesPage = accepts.includes('text/html') || accepts.includes('*/*');
    if (path === '/' && (!page || !takesPage)) return c.text(forTerminals(origin));
    const html = page && (await readFile(join(page.folder, 'index.html'), 'utf8').catch(() => null));
    if (!html) return found.kind === 'none' ? nothingHere(c) : notBuilt(c, origin);
    const card = cardOf(origin, found.kind === 'view' ? found.run : null);
    return c.html(
      html.replace('<!--potluck:card-->', () => card),
      found.kind === 'none' ? 404 : 200,
      {
        ...headers,
        'cache-control': 'no-cache',
      },
    );
  });
}

/** Adds the files of the page to an app. They are sent like blobs, because an open file takes a descriptor and slow clients may be many. */
export function servePage(app: Hono, page: PageOptions | null, transfers: Transfers): void {
  const pageHeaders = headersOf(page);
  const bodyOf = (c: Context, path: string): ReadableStream =>
    carriedBy(
      transfers,
      addressOfAsker(c),
      piecesOf(path),
      () => {}, // a slow client may take as long as it likes
      () => cutOff(c),
    );
  /** A file of the build, compressed for clients that accept it; null where there is none. */
  const sendFile = async (c: Context, path: string, type: string, cache: string): Promise<Response | null> => {
    const gzip = /\bgzip\b/.test(c.req.header('accept-encoding') ?? '');
    const found = (gzip && (await sized(`${path}.gz`))) || (await sized(path));
    if (!found) return null;
    const headers = {
      ...pageHeaders,
      'content-type': type,
      'content-length': String(found.size_bytes),
      'cache-control': cache,
      vary: 'accept-encoding',
      ...(found.path.endsWith('.gz') ? { 'content-encoding': 'gzip' } : {}),
    };
    if (c.req.method === 'HEAD') return c.body(null, 200, headers);
    return c.body(bodyOf(c, found.path), 200, headers);
  };

  app.get(CARD_PATH, async (c) => {
    const found = page && (await sized(join(page.folder, CARD_PATH)));
    if (!found) return c.notFound();
    const headers = {
      'content-type': TYPES.png,
      'content-length': String(found.size_bytes),
      'cache-control': 'public, max-age=86400', // its name stays the same when it changes
      'cross-origin-resource-policy': 'cross-origin', // other sites are meant to show it
      'x-content-type-options': 'nosniff',
    };
    if (c.req.method === 'HEAD') return c.body(null, 200, headers);
    return c.body(bodyOf(c, found.path), 200, headers);
  });

  app.get('/assets/:file', async (c) => {
    const file = c.req.param('file');
    const type = TYPES[ASSET.exec(file)?.[1] ?? ''];
    return (page && type && (await sendFile(c, join(page.folder, 'assets', file), type, FOREVER))) || c.notFound();
  });

  // Its name has no hash, so browsers ask for it again each time; that is how they hear of a new build.
  app.get(SERVICE_WORKER, async (c) => {
    const sent = page && (await sendFile(c, join(page.folder, SERVICE_WORKER), TYPES.js, 'no-cache'));
    return sent || c.notFound();
  });
}

async function sized(path: string): Promise<{ path: string; size_bytes: number } | null> {
  const info = await stat(path).catch(() => null);
  return info?.isFile() ? { path, size_bytes: info.size } : null;
}

const forTerminals = (origin: string): string =>
  [
    'This is a Potluck hub: a meeting place for devices that train a model together.',
    '',
    `In a browser:          ${origin}/`,
    `Join from a terminal:  npx potluck join ${origin}`,
    'State as JSON:         /status',
    '',
  ].join('\n');

/** The text for people, on a hub without a page. */
function nothingHere(c: Context): Response | Promise<Response> {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Potluck</title>
<h1>There is nothing at this address</h1><p><a href="/">To the hub</a></p></html>`;
  return c.html(html, 404, { ...headersOf(null), 'cache-control': 'no-store' });
}

/** Everything but the page works while it is not built; this document says so, and asks again. */
function notBuilt(c: Context, origin: string): Response | Promise<Response> {
  const html = `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="${RETRY_S}"><title>Potluck</title>
<h1>The hub is here, its page is not built yet</h1>
<p>A checkout builds it at the first start, which takes a few seconds; this looks again by itself.
If it stays like this, run <code>npm run build</code> where the hub was started.</p>
<p>Everything else works: <code>npx potluck join ${escapeHtml(origin)}</code>, <a href="/status">the state as JSON</a>.</p></html>`;
  return c.html(html, 503, { ...headersOf(null), 'cache-control': 'no-store', 'retry-after': String(RETRY_S) });
}
