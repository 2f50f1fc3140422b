// The public log over HTTP, in the layout of C2SP tlog-tiles: a signed checkpoint, tiles of hashes, bundles of entries.
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { originOf } from '../ledger/key-names.ts';
import { MAX_NOTE_BYTES, NOTE_ED25519, verifierKey } from '../ledger/signed-note.ts';
import { parseTilePath, type TileAddress } from '../ledger/tiles.ts';
import { writeTlogProof } from '../ledger/tlog-proof.ts';
import { rangeOf } from './byte-range.ts';
import type { Cosignatures } from './cosignatures.ts';
import { openPacker, packedFor } from './packing.ts';
import type { RateLimits } from './rate-limits.ts';

/** The part of a transparency log that is served. */
export interface PublicLog {
  checkpoint(): Promise<{ readonly note: string }>;
  tile(level: number, index: number, width: number): Uint8Array | null;
  entryBundle(index: number, width: number): Uint8Array | null;
  readonly size: number;
  inclusionProof(index: number, size: number): Uint8Array[];
  read(from: number, to: number): Uint8Array[];
}

/** These files have no tag, so no If-Range can name one. */
const NO_TAG = '';
const FOREVER = 'public, max-age=31536000, immutable';

/**
 * Adds the log to an app: /log/key, /log/checkpoint, /log/tile/… and /log/proof/INDEX. Witnesses POST a checkpoint with their cosignature
 * to /log/cosignature. The hub then serves it with the cosignature at /log/checkpoint while it is the newest, and at /log/cosigned while it
 * is the largest cosigned one. `addressOf` gives the address that a request is counted under.
 */
export function serveLog(
  app: Hono,
  log: PublicLog,
  hub: string,
  cosignatures: Cosignatures,
  rates: RateLimits,
  addressOf: (c: Context) => string | null,
): void {
  const pack = openPacker();
  app.get('/log/key', (c) => c.text(`${logKey(hub)}\n`, 200, { 'cache-control': 'no-cache' }));
  app.get('/log/checkpoint', async (c) => {
    const { note } = await log.checkpoint();
    return c.text(cosignatures.join(note), 200, { 'cache-control': 'no-cache' });
  });
  app.get('/log/cosigned', (c) => {
    const note = cosignatures.largest();
    if (note === null)
      return c.json({ error: { code: 'not-found', message: 'no witness has cosigned this log' } }, 404);
    return c.text(note, 200, { 'cache-control': 'no-cache' });
  });
  const small = bodyLimit({
    maxSize: MAX_NOTE_BYTES,
    onError: (c) => c.json({ error: { code: 'too-large', message: `at most ${MAX_NOTE_BYTES} bytes` } }, 413),
  });
  app.use('/log/cosignature', async (c, next) => {
    rates.take('cosignature_address', addressOf(c));
    await next();
  });
  app.post('/log/cosignature', small, async (c) => c.json({ witnesses: cosignatures.add(await c.req.text()) }, 201));
  app.get('/log/proof/:index', async (c) => {
    const index = Number(/^(0|[1-9]\d{0,14})$/.exec(c.req.param('index'))?.[1] ?? Number.NaN);
    if (!(index < log.size)) {
      return c.json({ error: { code: 'not-found', message: `expected an index below ${log.size}` } }, 404);
    }
    return c.text(await entryProof(index, log, cosignatures), 200, { 'cache-control': 'no-cache' });
  });
  app.get('/log/tile/*', async (c) => {
    const bytes = readTile(log, parseTilePath(c.req.path.slice('/log/'.length)));
    if (!bytes) return c.json({ error: { code: 'not-found', message: `the log has no ${c.req.path} yet` } }, 404);
    const headers = { 'content-type': 'application/octet-stream', 'cache-control': FOREVER, 'accept-ranges': 'bytes' };
    // A partial tile or bundle begins with the bytes of a narrower one, so a client that has that one asks for the rest only.
    const range = rangeOf(bytes.length, NO_TAG, c.req.header('range'), c.req.header('if-range'));
    if (range.kind !== 'part') {
      // Entries shrink by compression; hashes do not.
      const isBundle = c.req.path.startsWith('/log/tile/entries/');
      const wire = isBundle
        ? await packedFor(pack, c.req.path, bytes, c.req.header('accept-encoding'))
        : { bytes, headers: {} };
      return c.body(wire.bytes as Uint8Array<ArrayBuffer>, 200, { ...headers, ...wire.headers });
    }
    const { from, to } = range;
    const part = { ...headers, 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` };
    return c.body(bytes.subarray(from, to) as Uint8Array<ArrayBuffer>, 206, part);
  });
}

/** An entry of the log as a .tlog-proof that contains it, so that the file alone can be verified. */
export async function entryProof(index: number, log: PublicLog, cosignatures: Cosignatures): Promise<string> {
  const note = await noteWith(index, log, cosignatures);
  const proof = log.inclusionProof(index, logSizeIn(note));
  const [extra] = log.read(index, index + 1);
  return writeTlogProof({ index, proof, note, extra });
}

/** The verifier key of a hub's log, as other programs configure it (c2sp.org/signed-note, section "Verifier keys"). */
export function logKey(hub: string): string {
  return verifierKey({ name: originOf(hub), id: hub }, NOTE_ED25519);
}

/** The size in one of the hub's own checkpoints. */
const logSizeIn = (note: string): number => Number(note.split('\n', 2)[1]);

/** A head that contains an entry: a cosigned one where there is one, otherwise the newest. */
async function noteWith(index: number, log: PublicLog, cosignatures: Cosignatures): Promise<string> {
  const seen = cosignatures.largest();
  if (seen !== null && logSizeIn(seen) > index && logSizeIn(seen) <= log.size) return seen;
  return cosignatures.join((await log.checkpoint()).note);
}

function readTile(log: PublicLog, tile: TileAddress): Uint8Array | null {
  if (tile.kind === 'entries') return log.entryBundle(tile.index, tile.width);
  return log.tile(tile.level, tile.index, tile.width);
}
