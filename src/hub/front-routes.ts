// Serves the addresses of a hub's processes that devices may connect to.
import type { Hono } from 'hono';
import { type FrontAddress, MOST_FRONTS } from '../protocol/fronts.ts';
import type { Front } from './cluster/others.ts';

/** @param fronts all processes that are there; none for a hub that is one process */
export function serveFronts(app: Hono, fronts: () => readonly Front[]): void {
  app.get('/fronts', (c) => {
    const addresses: FrontAddress[] = [];
    for (const { url, region } of fronts()) if (url !== null) addresses.push({ url, region });
    return c.json({ fronts: addresses.slice(0, MOST_FRONTS) }, 200, { 'cache-control': 'no-store' });
  });
}
