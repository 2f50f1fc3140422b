// The public log over HTTP, in the layout of C2SP tlog-tiles: a signed checkpoint, tiles of hashes, bundles of entries.
import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { MAX_NOTE_BYTES } from '../ledger/signed-note.ts';
import { parseTilePath, type TileAddress } from '../ledger/tiles.ts';
import { rangeOf } from './byte-range.ts';
import { openCosignatures } from './cosignatures.ts';
import type { RateLimits } from './rate-limits.ts';

/** The part of a transparency log that is served. */
export interface PublicLog {
  checkpoint(): Promise<{ readonly note: string }>;
  tile(level: number, index: number, width: number): Uint8Array | null;
  entryBundle(index: number, width: number): Uint8Array | null;
}

/** These files have no tag, so no If-Range names one. */
const NO_TAG = '';
const FOREVER = 'public, max-age=31536000, immutable';

/**
 * Adds /log/checkpoint and /log/tile/… to an app. Witnesses POST a checkpoint with their cosignature to /log/cosignature; then it is
 * served with it at /log/checkpoint while it is the newest, and at /log/cosigned as the largest one that a witness has seen.
 * `addressOf` says whom a request is counted under.
 */
export function serveLog(
  app: Hono,
  log: PublicLog,
  hub: string,
  rates: RateLimits,
  addressOf: (c: Context) => string | null,
): void {
  const cosignatures = openCosignatures(hub);
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
  app.get('/log/tile/*', (c) => {
    const bytes = readTile(log, parseTilePath(c.req.path.slice('/log/'.length)));
    if (!bytes) return c.json({ error: { code: 'not-found', message: `the log has no ${c.req.path} yet` } }, 404);
    const headers = { 'content-type': 'application/octet-stream', 'cache-control': FOREVER, 'accept-ranges': 'bytes' };
    // A partial tile or bundle begins with the bytes of the narrower one: who has that asks for the rest.
    const range = rangeOf(bytes.length, NO_TAG, c.req.header('range'), c.req.header('if-range'));
    if (range.kind !== 'part') return c.body(bytes as Uint8Array<ArrayBuffer>, 200, headers);
    const { from, to } = range;
    const part = { ...headers, 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` };
    return c.body(bytes.subarray(from, to) as Uint8Array<ArrayBuffer>, 206, part);
  });
}

function readTile(log: PublicLog, tile: TileAddress): Uint8Array | null {
  if (tile.kind === 'entries') return log.entryBundle(tile.index, tile.width);
  return log.tile(tile.level, tile.index, tile.width);
}
