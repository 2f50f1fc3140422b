// The OpenAI API of a hub, at /v1: its callers are answered by the devices that serve here.
import type { Context, Hono } from 'hono';
import type { Clock } from '../../protocol/clock.ts';
import type { AnswerServer } from '../../serving/answers.ts';
import { openaiApi } from '../../serving/api/app.ts';
import { ApiError } from '../../serving/api/errors.ts';
import type { Keys } from '../../serving/api/keys.ts';
import { TRUST_HEADER } from '../../serving/api/trust.ts';
import type { UsageBook } from '../../serving/api/usage-book.ts';
import { addressOfAsker, incomingOf } from '../answers.ts';
import { comesFromHere, isOwnHost } from '../askers.ts';
import type { RateLimits } from '../rate-limits.ts';
import { ANY_DEVICE, type Pool } from './pool.ts';

/** Who may ask a hub's devices, and which of them may see what is asked. */
export interface ApiAccess {
  /** null: whoever reaches the hub; for a hub of its own machine. */
  readonly keys: Keys | null;
  /** Only devices of these owners serve, so that nobody else's can read a prompt; null: all devices. */
  readonly owners: ReadonlySet<string> | null;
  /** The accounts whose devices are the own ones of whoever needs no key. */
  readonly own?: readonly string[];
  /** Where it is kept how much each key asks; whoever has opened it closes it. Without it nothing is kept. */
  readonly usage?: UsageBook;
}

interface ApiServices {
  readonly pool: Pick<Pool, 'serverFor' | 'fleet'>;
  readonly clock: Clock;
  readonly rates: RateLimits;
  readonly randomHex: () => string;
  onError(error: unknown, where: string): void;
}

/** Adds what begins with /v1, and who serves there. Of what is asked and answered nothing is kept or told. */
export function serveApi(app: Hono, { keys, owners, own, usage }: ApiAccess, hub: ApiServices): void {
  const { pool, clock, rates, randomHex: newId, onError } = hub;
  app.use('/v1/*', async (c, next) => {
    rates.take('api_address', addressOfAsker(c));
    await next();
  });
  app.get('/fleet', (c) => {
    rates.take('read_address', addressOfAsker(c));
    return c.json(pool.fleet(), 200, { 'cache-control': 'no-store' });
  });
  /** Whoever the caller trusts, as far as the hub's operator does. */
  const trusting = (named: ReadonlySet<string>): AnswerServer => {
    const both = new Set([...named].filter((owner) => owners?.has(owner) ?? true));
    if (both.size > 0) return pool.serverFor({ ...ANY_DEVICE, owners: both });
    const fact = 'this hub passes requests on to devices of its own list of owners, and none of those is on it';
    throw new ApiError('unsupported', fact, { param: TRUST_HEADER });
  };
  const server = pool.serverFor({ ...ANY_DEVICE, owners });
  app.route('/', openaiApi(server, { clock, newId, keys, own, usage, isOperator, trusting, onError }));
}

/** A program of this machine, or a page that this hub has served there: no page of others, under whatever name. */
function isOperator(c: Context): boolean {
  const host = c.req.header('host')?.replace(/:\d*$/, '') ?? '';
  return comesFromHere(incomingOf(c)) && isOwnHost(host) && c.req.header('origin') === undefined;
}
