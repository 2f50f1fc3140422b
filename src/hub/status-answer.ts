// /status: the state as JSON, encoded and compressed once for all requests of a moment, with conditional requests (RFC 9110, section 13).
import type { Context } from 'hono';
import type { Clock } from '../protocol/clock.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import type { RunStatus } from '../protocol/messages.ts';
import { hasAlready } from './byte-range.ts';
import { type Packing, packingFor, packWith } from './packing.ts';
import { openKept, type Statuses } from './statuses.ts';

interface Written {
  readonly json: Uint8Array;
  readonly etag: string;
  readonly packed: Map<Packing, Promise<Uint8Array>>;
}

/** Answers GET and HEAD of the state; with `?peers=none` without the peers of runs, which are most of it. */
export function statusAnswer(
  hub: string,
  statuses: Statuses,
  clock: Pick<Clock, 'elapsed_ms'>,
): (c: Context) => Promise<Response> {
  const write = (runs: readonly RunStatus[]): Written => {
    const json = utf8(JSON.stringify({ hub, runs }));
    return { json, etag: sha256Hex(json).slice(0, 32), packed: new Map() };
  };
  // Encoding it costs more than the state itself.
  const whole = openKept(() => write(statuses.recent()), clock).recent;
  const brief = openKept(() => write(statuses.recent().map((run) => ({ ...run, peers: [] }))), clock).recent;
  return async (c) => {
    const { json, etag, packed } = c.req.query('peers') === 'none' ? brief() : whole();
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
