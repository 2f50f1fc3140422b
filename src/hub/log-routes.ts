// The public log over HTTP, in the layout of C2SP tlog-tiles: a signed checkpoint, tiles of hashes, bundles of entries.
import type { Hono } from 'hono';
import { parseTilePath, type TileAddress } from '../ledger/tiles.ts';

/** The part of a transparency log that is served. */
export interface PublicLog {
  checkpoint(): Promise<{ readonly note: string }>;
  tile(level: number, index: number, width: number): Uint8Array | null;
  entryBundle(index: number, width: number): Uint8Array | null;
}

const FOREVER = 'public, max-age=31536000, immutable';

/** Adds /log/checkpoint and /log/tile/… to an app. */
export function serveLog(app: Hono, log: PublicLog): void {
  app.get('/log/checkpoint', async (c) => {
    const { note } = await log.checkpoint();
    return c.text(note, 200, { 'cache-control': 'no-cache' });
  });
  app.get('/log/tile/*', (c) => {
    const bytes = readTile(log, parseTilePath(c.req.path.slice('/log/'.length)));
    if (!bytes) return c.json({ error: { code: 'not-found', message: `the log has no ${c.req.path} yet` } }, 404);
    return c.body(bytes as Uint8Array<ArrayBuffer>, 200, {
      'content-type': 'application/octet-stream',
      'cache-control': FOREVER,
    });
  });
}

function readTile(log: PublicLog, tile: TileAddress): Uint8Array | null {
  if (tile.kind === 'entries') return log.entryBundle(tile.index, tile.width);
  return log.tile(tile.level, tile.index, tile.width);
}
