// The hub over HTTP: blobs by hash, signed events, and what people and scripts ask for.
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { HttpBindings } from '@hono/node-server';
import { hexToBytes } from '@noble/hashes/utils.js';
import { type Context, Hono } from 'hono';
import { CodedError } from '../errors.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { LedgerError, type LedgerErrorCode } from '../ledger/errors.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { verifySignature } from '../protocol/identity.ts';
import { type AccountView, type RunStatus, type RunView, uploadChallenge, WIRE_LIMITS } from '../protocol/messages.ts';
import { HubError } from './errors.ts';
import { type PublicLog, serveLog } from './log-routes.ts';
import { type Metrics, serveMetrics } from './metrics.ts';
import { openToReaders, type PageOptions, servePage } from './page.ts';
import { addressOf, type RateLimits } from './rate-limits.ts';
import { UNNAMED_BYTES, type UnnamedBlobs } from './unnamed-blobs.ts';
import type { PeerTelemetry } from './views.ts';

/** What a store says when it cannot serve, whoever asks. */
const OWN_TROUBLE: readonly LedgerErrorCode[] = [
  'blob-corrupt',
  'log-corrupt',
  'store-unusable',
  'overloaded',
  'write-failed',
  'closed',
];
const HASH = /^[0-9a-f]{64}$/;
/** What all uploads that are under way may hold in memory together: two of the largest. */
const RECEIVING_BYTES = 2 * WIRE_LIMITS.blob_bytes;

/** Whether a hub takes events; `log-failed` lasts until it is started again. */
export type Readiness = 'opening' | 'ready' | 'closing' | 'log-failed';

export interface HttpServices {
  readonly id: string;
  readonly blobs: BlobStore;
  readonly telemetry: Map<string, PeerTelemetry>;
  readonly log: PublicLog;
  readonly rates: RateLimits;
  submit(bytes: Uint8Array): Promise<{ id: string; receipt: Receipt }>;
  statuses(): RunStatus[];
  view(run: string): RunView | null;
  account(id: string): AccountView;
  health(): Record<string, string | number>;
  readiness(): Readiness;
}

/** Text shards shrink to a third; weights and updates hardly, and large ones would keep a core busy for nothing. */
const PACKED_BYTES = { least: 1024, most: 1 << 20 };
const WORTH_PACKING = 0.9;
const gzipAsync = promisify(gzip);

/** A blob as it goes over the wire: gzipped where the reader takes that and it is worth it. */
async function packForWire(
  bytes: Uint8Array,
  accepted: string,
): Promise<{ bytes: Uint8Array; headers: Record<string, string> }> {
  const tried = /\bgzip\b/.test(accepted) && bytes.length >= PACKED_BYTES.least && bytes.length <= PACKED_BYTES.most;
  if (!tried) return { bytes, headers: {} };
  const packed = await gzipAsync(bytes, { level: 5 });
  return packed.length < bytes.length * WORTH_PACKING
    ? { bytes: packed, headers: { 'content-encoding': 'gzip' } }
    : { bytes, headers: {} };
}

/** Errors as JSON: `{error: {code, message, details}}`. */
const problem = (code: string, message: string, details: object = {}) => ({ error: { code, message, details } });

const addressOfAsker = (c: Context): string | null => addressOf((c.env as HttpBindings).incoming);

/** The size that a request announces, or the answer to one that announces none or too much. */
function announcedBytes(c: Context, max_bytes: number): number | Response {
  const text = c.req.header('content-length') ?? '';
  if (!/^\d{1,15}$/.test(text) || c.req.header('transfer-encoding')) {
    return c.json(problem('length-required', 'expected a body whose content-length is announced'), 411);
  }
  const size_bytes = Number(text);
  if (size_bytes <= max_bytes) return size_bytes;
  return c.json(problem('too-large', `at most ${max_bytes} bytes, got ${size_bytes}`, { max_bytes }), 413);
}

/** @param page where the page is, for hubs that serve one */
export function httpApp(
  hub: HttpServices,
  unnamed: UnnamedBlobs,
  metrics: Metrics,
  page: PageOptions | null = null,
): Hono {
  const app = new Hono();
  let receiving_bytes = 0;

  app.onError((error, c) => {
    if (error instanceof HubError && error.code === 'too-fast') {
      const headers = { 'retry-after': String(error.details.retry_after_s) };
      return c.json(problem(error.code, error.message, error.details), 429, headers);
    }
    // A store that fails is this hub's own trouble: worth another try. Everything else was asked for wrongly.
    const status = error instanceof LedgerError && OWN_TROUBLE.includes(error.code) ? 500 : 400;
    if (error instanceof CodedError) return c.json(problem(error.code, error.message, error.details), status);
    return c.json(problem('hub-failed', 'the hub failed at this request'), 500);
  });
  app.notFound((c) => c.json(problem('not-found', `no such path: ${c.req.path}`), 404));

  serveMetrics(app, metrics);
  openToReaders(app);
  servePage(app, page, hub.statuses);
  app.get('/health', (c) => c.json(hub.health()));
  // Health: the process answers. Ready: it is worth sending somebody here.
  app.get('/ready', (c) => {
    const state = hub.readiness();
    return c.json({ ready: state === 'ready', state }, state === 'ready' ? 200 : 503, { 'cache-control': 'no-store' });
  });
  app.get('/status', (c) => c.json({ hub: hub.id, runs: hub.statuses() }));

  app.get('/runs/:run', (c) => {
    const view = hub.view(c.req.param('run'));
    return view ? c.json(view) : c.json(problem('no-such-run', `no run ${c.req.param('run')} on this hub`), 404);
  });

  app.get('/accounts/:account', (c) => c.json(hub.account(c.req.param('account'))));

  app.get('/blobs/:hash', async (c) => {
    const hash = c.req.param('hash');
    if (!HASH.test(hash)) return c.json(problem('malformed', 'expected /blobs/ and 64 hexadecimal digits'), 400);
    const bytes = await hub.blobs.get(hash);
    if (!bytes) return c.json(problem('not-found', `no blob ${hash} here`), 404);
    const peer = c.req.header('x-potluck-peer');
    const seen = peer ? hub.telemetry.get(peer) : undefined;
    const packed = await packForWire(bytes, c.req.header('accept-encoding') ?? '');
    if (seen) seen.bytes_down += packed.bytes.length;
    metrics.carried('down', packed.bytes.length);
    return c.body(packed.bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=31536000, immutable',
      vary: 'accept-encoding',
      ...packed.headers,
    });
  });

  app.put('/blobs/:hash', async (c) => {
    hub.rates.take('upload_address', addressOfAsker(c));
    const hash = c.req.param('hash');
    const peer = c.req.header('x-potluck-peer') ?? '';
    const signature = c.req.header('x-potluck-signature') ?? '';
    if (!HASH.test(hash)) return c.json(problem('malformed', 'expected /blobs/ and 64 hexadecimal digits'), 400);
    const signed =
      HASH.test(peer) &&
      /^[0-9a-f]{128}$/.test(signature) &&
      verifySignature(peer, uploadChallenge(hub.id, hash), hexToBytes(signature));
    if (!signed)
      return c.json(problem('bad-signature', "expected the uploader's signature over this blob's hash"), 401);
    hub.rates.take('upload_key', peer);
    // Everything is decided by the announced size, before a byte of the body is held.
    const announced = announcedBytes(c, WIRE_LIMITS.blob_bytes);
    if (announced instanceof Response) return announced;
    if (!unnamed.mayAdd(peer, announced)) {
      return c.json(problem('too-much', `at most ${UNNAMED_BYTES} bytes that no event names yet`), 429);
    }
    if (receiving_bytes + announced > RECEIVING_BYTES) {
      return c.json(problem('busy', 'other uploads are under way; try again in a moment'), 503);
    }
    receiving_bytes += announced;
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(await c.req.arrayBuffer());
    } finally {
      receiving_bytes -= announced;
    }
    const found = sha256Hex(bytes);
    if (found !== hash) {
      return c.json(problem('wrong-hash', `expected bytes whose SHA-256 is ${hash}, got ${found}`, { found }), 400);
    }
    await unnamed.holding([hash], () => hub.blobs.put(bytes));
    unnamed.add(peer, hash, bytes.length);
    const seen = hub.telemetry.get(peer);
    if (seen) seen.bytes_up += bytes.length;
    metrics.carried('up', bytes.length);
    return c.json({ hash, size_bytes: bytes.length }, 201);
  });

  app.post('/events', async (c) => {
    hub.rates.take('event_address', addressOfAsker(c));
    const announced = announcedBytes(c, WIRE_LIMITS.event_bytes);
    if (announced instanceof Response) return announced;
    const { id, receipt } = await hub.submit(new Uint8Array(await c.req.arrayBuffer()));
    return c.json({ event: id, receipt }, 201);
  });

  serveLog(app, hub.log, hub.id, hub.rates, addressOfAsker);
  return app;
}
