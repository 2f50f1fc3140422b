// The OpenAI API of a hub, at /v1: its callers are answered by the devices that serve here.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { Context, Hono } from 'hono';
import { writeAnswerProof } from '../../audit/answer-proof.ts';
import type { Clock } from '../../protocol/clock.ts';
import type { Fleet } from '../../protocol/fleet.ts';
import type { AnswerRequest, AnswerServer } from '../../serving/answers.ts';
import { openaiApi } from '../../serving/api/app.ts';
import { ApiError } from '../../serving/api/errors.ts';
import type { Keys } from '../../serving/api/keys.ts';
import { TRUST_HEADER } from '../../serving/api/trust.ts';
import type { UsageBook } from '../../serving/api/usage-book.ts';
import { providerDocument } from '../../serving/provider-document.ts';
import { addressOfAsker, incomingOf, NO_STORE, problem } from '../answers.ts';
import { comesFromHere, isOwnHost } from '../askers.ts';
import type { Cosignatures } from '../cosignatures.ts';
import { entryProof, type PublicLog } from '../log-routes.ts';
import type { RateLimits } from '../rate-limits.ts';
import { ANY_DEVICE, type Caller, type Ticket } from './caller.ts';
import type { Pool } from './pool.ts';
import type { Receipts } from './receipts.ts';

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
  readonly pool: Pick<Pool, 'serverFor' | 'served'>;
  readonly clock: Clock;
  readonly rates: RateLimits;
  /** Fresh random bytes. */
  readonly randomBytes: (length: number) => Uint8Array;
  readonly receipts: Pick<Receipts, 'partsOf' | 'prove'>;
  readonly log: PublicLog;
  readonly cosignatures: Cosignatures;
  onError(error: unknown, where: string): void;
}

/** Where what answers cost is proven: whoever knows an answer's request id may read it, as anybody may read a settled batch. */
function serveReceipts(app: Hono, { receipts, log, cosignatures }: ApiServices): void {
  app.get('/v1/receipts/:request', (c) => {
    const { request } = c.req.param();
    const parts = receipts.partsOf(request);
    if (parts.length === 0) return c.json(problem('no-receipt', `there is no receipt of request ${request}`), 404);
    return c.json({ request, parts }, 200, NO_STORE);
  });
  // The file that `potluck verify` takes.
  app.get('/v1/receipts/:request/:part', async (c) => {
    const { request, part } = c.req.param();
    const proven = /^\d{1,2}$/.test(part) ? await receipts.prove({ request, part: Number(part) }) : null;
    const words = `part ${part} of request ${request} is not settled, or its batch is not kept`;
    if (!proven) return c.json(problem('no-receipt', words), 404);
    const entry = await entryProof(proven.entry, log, cosignatures);
    return c.body(writeAnswerProof(proven, entry), 200, { ...NO_STORE, 'content-type': 'application/json' });
  });
}

/** Who serves, on the whole hub: for people, also where callers do not ask this process. */
export function serveFleet(app: Hono, { rates, fleet }: { readonly rates: RateLimits; fleet(): Promise<Fleet> }): void {
  app.get('/fleet', async (c) => {
    rates.take('read_address', addressOfAsker(c));
    return c.json(await fleet(), 200, NO_STORE);
  });
}

/** Adds what begins with /v1. Of what is asked and answered nothing is kept or told. */
export function serveApi(app: Hono, { keys, owners, own, usage }: ApiAccess, hub: ApiServices): void {
  const { pool, clock, rates, randomBytes, onError } = hub;
  app.use('/v1/*', async (c, next) => {
    rates.take('api_address', addressOfAsker(c));
    await next();
  });
  // For marketplaces: what every caller may ask for, whoever reads it.
  app.get('/v1/providers', (c) => {
    const models = pool.served({ ...ANY_DEVICE, owners });
    return c.json(providerDocument(models), 200, NO_STORE);
  });
  serveReceipts(app, hub);
  const serverOf = (named: ReadonlySet<string> | null): AnswerServer => {
    const caller = { ...ANY_DEVICE, owners: named };
    return {
      ...pool.serverFor(caller),
      billed: (account, answers) => billed(pool, caller, account, answers, randomBytes),
    };
  };
  /** Whoever the caller trusts, as far as the hub's operator does. */
  const trusting = (named: ReadonlySet<string>): AnswerServer => {
    const both = new Set([...named].filter((owner) => owners?.has(owner) ?? true));
    if (both.size > 0) return serverOf(both);
    const fact = 'this hub passes requests on to devices of its own list of owners, and none of those is on it';
    throw new ApiError('unsupported', fact, { param: TRUST_HEADER });
  };
  const newId = (): string => bytesToHex(randomBytes(16));
  app.route('/', openaiApi(serverOf(owners), { clock, newId, keys, own, usage, isOperator, trusting, onError }));
}

/** A program of this machine, or a page that this hub has served there: no page of others, under whatever name. */
function isOperator(c: Context): boolean {
  const host = c.req.header('host')?.replace(/:\d*$/, '') ?? '';
  return comesFromHere(incomingOf(c)) && isOwnHost(host) && c.req.header('origin') === undefined;
}

/** The pool for answers that an account pays for, and what its caller needs to find their receipts and to show that they are of them. */
function billed(
  pool: Pick<Pool, 'serverFor'>,
  caller: Caller,
  account: string,
  answers: readonly AnswerRequest[],
  randomBytes: ApiServices['randomBytes'],
): ReturnType<NonNullable<AnswerServer['billed']>> {
  const ticket = (): Ticket => ({ account, request: bytesToHex(randomBytes(32)), salt: randomBytes(32) });
  const tickets = new Map(answers.map((answer) => [answer, ticket()]));
  const words = [...tickets.values()].map(({ request, salt }) => `${request};salt=${bytesToHex(salt)}`);
  return {
    server: pool.serverFor(caller, (answer) => tickets.get(answer) ?? null),
    headers: { 'x-potluck-receipts': words.join(', ') },
  };
}
