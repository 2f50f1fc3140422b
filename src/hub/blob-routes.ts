// Blobs over HTTP: fetched by hash, whole or from where a broken line left off (RFC 9110, section 14), and uploaded, signed.
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { hexToBytes } from '@noble/hashes/utils.js';
import type { Context, Hono } from 'hono';
import type { BlobStore } from '../ledger/blob-store.ts';
import { systemClock } from '../protocol/clock.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { verifySignature } from '../protocol/identity.ts';
import { uploadChallenge, WIRE_LIMITS } from '../protocol/messages.ts';
import { addressOfAsker, announcedBytes, problem } from './answers.ts';
import { hasAlready, rangeOf } from './byte-range.ts';
import type { Metrics } from './metrics.ts';
import type { RateLimits } from './rate-limits.ts';
import { UNNAMED_BYTES, type UnnamedBlobs } from './unnamed-blobs.ts';
import { openPartialUploads, type Part, type PartialUploads, uploadedPart } from './uploads.ts';
import type { PeerTelemetry } from './views.ts';

const HASH = /^[0-9a-f]{64}$/;
/** What all uploads that are under way may hold in memory together: two of the largest. */
const RECEIVING_BYTES = 2 * WIRE_LIMITS.blob_bytes;
/** Text shards shrink to a third; weights and updates hardly, and large ones would keep a core busy for nothing. */
const PACKED_BYTES = { least: 1024, most: 1 << 20 };
const WORTH_PACKING = 0.9;
const gzipAsync = promisify(gzip);

export interface BlobServices {
  readonly id: string;
  readonly blobs: BlobStore;
  readonly unnamed: UnnamedBlobs;
  readonly telemetry: Map<string, PeerTelemetry>;
  readonly rates: RateLimits;
  readonly metrics: Metrics;
  mustHaveRoom(size_bytes: number): Promise<void>;
}

/** Adds GET, HEAD and PUT of /blobs/HASH to an app. */
export function serveBlobs(app: Hono, hub: BlobServices): void {
  app.get('/blobs/:hash', (c) => send(c, hub));
  const receive = receiver(hub);
  app.put('/blobs/:hash', receive);
}

const malformed = (c: Context) => c.json(problem('malformed', 'expected /blobs/ and 64 hexadecimal digits'), 400);

/** A blob never changes under its name, so every answer may be kept for good and gone on with at any byte. */
async function send(c: Context, { blobs, telemetry, metrics }: BlobServices): Promise<Response> {
  const hash = c.req.param('hash') ?? '';
  if (!HASH.test(hash)) return malformed(c);
  const etag = `"${hash}"`;
  const headers = {
    'content-type': 'application/octet-stream',
    'cache-control': 'public, max-age=31536000, immutable',
    'accept-ranges': 'bytes',
    vary: 'accept-encoding',
    etag,
  };
  const missing = () => c.json(problem('not-found', `no blob ${hash} here`), 404);
  const size_bytes = await blobs.sizeOf(hash);
  if (size_bytes === null) return missing();
  const known = c.req.header('if-none-match');
  if (hasAlready(etag, known) || hasAlready(packedTag(hash), known)) return c.body(null, 304, headers);
  if (c.req.method === 'HEAD') return c.body(null, 200, { ...headers, 'content-length': String(size_bytes) });
  const range = rangeOf(size_bytes, etag, c.req.header('range'), c.req.header('if-range'));
  if (range.kind === 'beyond') {
    const message = `expected a range within ${size_bytes} bytes, got ${c.req.header('range')}`;
    return c.json(problem('bad-range', message, { size_bytes }), 416, { 'content-range': `bytes */${size_bytes}` });
  }
  const bytes = await blobs.get(hash);
  if (!bytes) return missing();
  const wire =
    range.kind === 'part' ? partOf(bytes, range) : await packed(bytes, hash, c.req.header('accept-encoding'));
  const seen = telemetry.get(c.req.header('x-potluck-peer') ?? '');
  if (seen) seen.bytes_down += wire.bytes.length;
  metrics.carried('down', wire.bytes.length);
  return c.body(wire.bytes as Uint8Array<ArrayBuffer>, range.kind === 'part' ? 206 : 200, {
    ...headers,
    'content-length': String(wire.bytes.length),
    ...wire.headers,
  });
}

interface OnTheWire {
  readonly bytes: Uint8Array;
  readonly headers: Record<string, string>;
}

function partOf(bytes: Uint8Array, { from, to }: { readonly from: number; readonly to: number }): OnTheWire {
  const headers = { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` };
  return { bytes: bytes.subarray(from, to), headers };
}

/** Other bytes on the wire have another strong tag. */
const packedTag = (hash: string): string => `"${hash}-gzip"`;

/** A whole blob as it goes over the wire: gzipped where the reader takes that and it is worth it. */
async function packed(bytes: Uint8Array, hash: string, accepted = ''): Promise<OnTheWire> {
  const tried = /\bgzip\b/.test(accepted) && bytes.length >= PACKED_BYTES.least && bytes.length <= PACKED_BYTES.most;
  if (!tried) return { bytes, headers: {} };
  const small = await gzipAsync(bytes, { level: 5 });
  return small.length < bytes.length * WORTH_PACKING
    ? { bytes: small, headers: { 'content-encoding': 'gzip', etag: packedTag(hash) } }
    : { bytes, headers: {} };
}

/** Takes uploads, as many at once as there is memory for. */
function receiver(hub: BlobServices): (c: Context) => Promise<Response> {
  const { rates, unnamed } = hub;
  let receiving_bytes = 0;
  const uploads = openPartialUploads(systemClock);
  return async (c) => {
    rates.take('upload_address', addressOfAsker(c));
    const hash = c.req.param('hash') ?? '';
    const peer = c.req.header('x-potluck-peer') ?? '';
    const signature = c.req.header('x-potluck-signature') ?? '';
    if (!HASH.test(hash)) return malformed(c);
    const signed =
      HASH.test(peer) &&
      /^[0-9a-f]{128}$/.test(signature) &&
      verifySignature(peer, uploadChallenge(hub.id, hash), hexToBytes(signature));
    if (!signed)
      return c.json(problem('bad-signature', "expected the uploader's signature over this blob's hash"), 401);
    rates.take('upload_key', peer);
    // Everything is decided by the announced size, before a byte of the body is held.
    const announced = announcedBytes(c, WIRE_LIMITS.blob_bytes);
    if (announced instanceof Response) return announced;
    const range = c.req.header('content-range');
    const part = uploadedPart(range ?? '');
    if (range && (!part || part.end - part.start !== announced || part.total > WIRE_LIMITS.blob_bytes)) {
      const message = `expected content-range: bytes FIRST-LAST/TOTAL of the body's length, TOTAL at most ${WIRE_LIMITS.blob_bytes}`;
      return c.json(problem('bad-range', message), 400);
    }
    if (!unnamed.mayAdd(peer, part?.total ?? announced)) {
      return c.json(problem('too-much', `at most ${UNNAMED_BYTES} bytes that no event names yet`), 429);
    }
    await hub.mustHaveRoom(receiving_bytes + (part?.total ?? announced));
    if (receiving_bytes + uploads.held_bytes + announced > RECEIVING_BYTES) {
      return c.json(problem('busy', 'other uploads are under way; try again in a moment'), 503);
    }
    receiving_bytes += announced;
    try {
      const bytes = new Uint8Array(await c.req.arrayBuffer());
      const whole = part ? await joined(c, hub, uploads, { hash, peer, part }, bytes) : bytes;
      return whole instanceof Response ? whole : await keep(c, hub, hash, peer, whole);
    } finally {
      receiving_bytes -= announced;
    }
  };
}

/** The whole blob when its last part has come, else the answer that says where to go on. */
async function joined(
  c: Context,
  { blobs }: BlobServices,
  uploads: PartialUploads,
  { hash, peer, part }: { readonly hash: string; readonly peer: string; readonly part: Part },
  bytes: Uint8Array,
): Promise<Uint8Array | Response> {
  const found = uploads.add(`${peer} ${hash}`, part, bytes);
  if (found.state === 'whole') return found.bytes;
  const { received_bytes } = found;
  // The answer to the last part may have been lost.
  if (received_bytes === 0 && (await blobs.has(hash))) return c.json({ hash }, 201);
  return c.json({ received_bytes }, found.state === 'goes-on' ? 202 : 409);
}

async function keep(c: Context, hub: BlobServices, hash: string, peer: string, bytes: Uint8Array): Promise<Response> {
  const found = sha256Hex(bytes);
  if (found !== hash) {
    return c.json(problem('wrong-hash', `expected bytes whose SHA-256 is ${hash}, got ${found}`, { found }), 400);
  }
  await hub.unnamed.holding([hash], () => hub.blobs.put(bytes));
  hub.unnamed.add(peer, hash, bytes.length);
  const seen = hub.telemetry.get(peer);
  if (seen) seen.bytes_up += bytes.length;
  hub.metrics.carried('up', bytes.length);
  return c.json({ hash, size_bytes: bytes.length }, 201);
}
