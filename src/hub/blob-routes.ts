// Serves blobs over HTTP by hash, whole or from an offset (RFC 9110, section 14); receive-blobs.ts takes uploads.
import type { Context, Hono } from 'hono';
import { HASH_FORM } from '../protocol/hash.ts';
import { addressOfAsker, answerTo, malformedHash, problem } from './answers.ts';
import type { BlobServices, BlobTurns } from './blob-services.ts';
import { hasAlready, rangeOf } from './byte-range.ts';
import { carriedBy, cutOff } from './carried.ts';
import { descriptorsHere } from './descriptors.ts';
import { openPacker, type Packer, type Packing, packingFor } from './packing.ts';
import { receiver } from './receive-blobs.ts';
import { limitsFor, openTransfers, type Transfers } from './transfers.ts';
import { openTurns, type Turns } from './turns.ts';

/** Text shards shrink to a third; weights and updates hardly shrink, and large ones would only keep a core busy. */
const PACKED_BYTES = { least: 1024, most: 1 << 20 };

/**
 * How many file operations run at once for all transfers: reads and writes of pieces, and flushing large blobs. Node has four threads for
 * files, and small requests must not wait behind many large ones.
 */
const AT_ONCE = { pieces: 8, syncs: 2 };

/** Adds GET, HEAD and PUT of /blobs/HASH to an app. */
export function serveBlobs(app: Hono, hub: BlobServices): void {
  const transfers = openTransfers(hub.clock, limitsFor(descriptorsHere().files).down);
  const pack = openPacker();
  const turns = { pieces: openTurns(AT_ONCE.pieces), syncs: openTurns(AT_ONCE.syncs) };
  const services = { ...hub, turns };
  app.get('/blobs/:hash', (c) => send(c, services, transfers, pack));
  app.put('/blobs/:hash', receiver(services));
}

/** A strong tag must differ where the bytes on the wire differ. */
const tagOf = (hash: string, packing: Packing | null): string => `"${hash}${packing ? `-${packing}` : ''}"`;

/** A blob never changes under its name, so every answer may be cached for good and resumed at any byte. */
async function send(c: Context, hub: BlobServices & BlobTurns, transfers: Transfers, pack: Packer): Promise<Response> {
  const hash = c.req.param('hash') ?? '';
  if (!HASH_FORM.test(hash)) return malformedHash(c);
  const etag = tagOf(hash, null);
  const headers = {
    'content-type': 'application/octet-stream',
    'cache-control': 'public, max-age=31536000, immutable',
    'accept-ranges': 'bytes',
    vary: 'accept-encoding',
    etag,
  };
  const missing = () => c.json(problem('not-found', `no blob ${hash} here`), 404);
  const size_bytes = await hub.blobs.sizeOf(hash);
  if (size_bytes === null) return missing();
  const known = c.req.header('if-none-match');
  if ([null, 'br', 'gzip'].some((packing) => hasAlready(tagOf(hash, packing as Packing | null), known))) {
    return c.body(null, 304, headers);
  }
  if (c.req.method === 'HEAD') return c.body(null, 200, { ...headers, 'content-length': String(size_bytes) });
  const range = rangeOf(size_bytes, etag, c.req.header('range'), c.req.header('if-range'));
  if (range.kind === 'beyond') {
    const message = `expected a range within ${size_bytes} bytes, got ${c.req.header('range')}`;
    return c.json(problem('bad-range', message, { size_bytes }), 416, { 'content-range': `bytes */${size_bytes}` });
  }
  const packing = range.kind === 'whole' ? packingOf(size_bytes, c.req.header('accept-encoding')) : null;
  const packed = packing && (await pack(hash, packing, () => hub.blobs.get(hash)));
  const [from, to] = range.kind === 'part' ? [range.from, range.to] : [0, size_bytes];
  const pieces = packed ? of(packed) : await hub.blobs.stream(hash, from, to);
  if (!pieces) return missing();
  const length = packed ? packed.length : to - from;
  const onBytes = (bytes: number): void => {
    const seen = hub.telemetry.get(c.req.header('x-potluck-peer') ?? '');
    if (seen) seen.bytes_down += bytes;
    hub.metrics.carried('down', bytes);
  };
  const cut = (error: unknown): void => {
    if (answerTo(error).trouble) hub.onError(error, `the answer to ${c.req.method} ${c.req.path}`);
    cutOff(c);
  };
  const inTurn = packed ? pieces : takingTurns(pieces, hub.turns.pieces);
  const carried = carriedBy(transfers, addressOfAsker(c), inTurn, onBytes, cut);
  return c.body(carried, range.kind === 'part' ? 206 : 200, {
    ...headers,
    'content-length': String(length),
    ...(range.kind === 'part' ? { 'content-range': `bytes ${from}-${to - 1}/${size_bytes}` } : {}),
    ...(packed ? { 'content-encoding': packing!, etag: tagOf(hash, packing) } : {}),
  });
}

/** The encoding for a whole blob, where the client accepts one and it is worthwhile. */
function packingOf(size_bytes: number, accepted: string | undefined): Packing | null {
  return size_bytes >= PACKED_BYTES.least && size_bytes <= PACKED_BYTES.most ? packingFor(accepted) : null;
}

async function* takingTurns(pieces: AsyncIterable<Uint8Array>, turns: Turns): AsyncGenerator<Uint8Array, void> {
  const reading = pieces[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await turns(() => reading.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await reading.return?.();
  }
}

async function* of(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
