// /status: the state as JSON, encoded and compressed once for all requests of a moment, with conditional requests (RFC 9110, section 13).
import type { Context } from 'hono';
import type { Clock } from '../protocol/clock.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { problem } from './answers.ts';
import { hasAlready } from './byte-range.ts';
import { type Packing, packingFor, packWith } from './packing.ts';
import { statusPage } from './status-pages.ts';
import { type Kept, openKept, type Statuses } from './statuses.ts';

interface Written {
  readonly json: Uint8Array;
  readonly etag: string;
  readonly packed: Map<Packing, Promise<Uint8Array>>;
}

/** How many pages are kept; who asks for one from the middle of another one gets it, and another one is made again. */
const PAGES_KEPT = 64;

/**
 * Answers GET and HEAD of the state, in pages: `?from=` is the `next` of the page before. With `?peers=none` it is without the peers of runs, which
 * are most of it.
 */
export function statusAnswer(
  hub: string,
  statuses: Statuses,
  clock: Pick<Clock, 'elapsed_ms'>,
): (c: Context) => Promise<Response> {
  const write = (runs: readonly RunStatus[], from: number): Written => {
    const json = utf8(JSON.stringify({ hub, ...statusPage(runs, from) }));
    return { json, etag: sha256Hex(json).slice(0, 32), packed: new Map() };
  };
  const withoutPeers = (runs: readonly RunStatus[]) => runs.map((run) => ({ ...run, peers: [] }));
  /** Encoding a page costs more than the state itself. The one that was asked for last is last. */
  const kept = new Map<string, Kept<Written>>();
  const page = (peers: 'all' | 'none', from: number): Written => {
    const name = `${peers} ${from}`;
    const seen = statuses.recent;
    const found = kept.get(name) ?? openKept(() => write(peers === 'all' ? seen() : withoutPeers(seen()), from), clock);
    kept.delete(name);
    kept.set(name, found);
    if (kept.size > PAGES_KEPT) kept.delete(kept.keys().next().value!);
    return found.recent();
  };
  return async (c) => {
    const asked = c.req.query('from') ?? '0';
    const from = Number(asked);
    if (!/^\d{1,9}$/.test(asked)) {
      return c.json(
        problem('malformed', `expected from= with the number that a page gave as next, got ${asked.slice(0, 40)}`),
        400,
      );
    }
    const { json, etag, packed } = page(c.req.query('peers') === 'none' ? 'none' : 'all', from);
    const packing = packingFor(c.req.header('accept-encoding'));
    const headers = {
      'content-type': 'application/json',
      'cache-control': 'no-cache',
      vary: 'accept-encoding',
      etag: `"${etag}${packing === null ? '' : `-${packing}`}"`, // a strong tag must differ where the bytes on the wire differ
    };
    if (hasAlready(headers.etag, c.req.header('if-none-match'))) return c.body(null, 304, headers);
    if (packing === null) return c.body(json as Uint8Array<ArrayBuffer>, 200, headers);
    if (!packed.has(packing)) packed.set(packing, packWith(packing, json));
    const bytes = (await packed.get(packing)!) as Uint8Array<ArrayBuffer>;
    return c.body(bytes, 200, { ...headers, 'content-encoding': packing });
  };
}
