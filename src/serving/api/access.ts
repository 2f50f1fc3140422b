// Who may ask: pages of which origins, callers with which keys, and how often. Every answer has the number of its request.
import type { Context, MiddlewareHandler } from 'hono';
import type { AnswerServer } from '../answers.ts';
import { ApiError } from './errors.ts';
import { ANYBODY, type Caller, type Keys } from './keys.ts';
import { type Quotas, quotaHeaders } from './quota.ts';
import { OWNERS_HEADER, TRUST_HEADER, trustedOwners } from './trust.ts';
import type { UsageBook } from './usage-book.ts';
import type { UsageCounts } from './usage-form.ts';

/** What requests carry through the app. */
export interface ApiVariables {
  request_id: string;
  caller: Caller;
  /** The model as usage names it; empty until the request has named one. */
  model: string;
  /** Who may answer this request. */
  server: AnswerServer;
  /** The accounts whose devices alone may; null: any. */
  owners: ReadonlySet<string> | null;
}
export type ApiContext = Context<{ Variables: ApiVariables }>;
type ApiMiddleware = MiddlewareHandler<{ Variables: ApiVariables }>;

/** The origin of a request, and the host that it is meant for, as the client says. */
export interface Addressed {
  readonly host: string | undefined;
  readonly origin: string | undefined;
}

export interface AccessOptions {
  /** Fresh and unforeseeable; hexadecimal digits. */
  readonly newId: () => string;
  /** null: whoever reaches this server may ask. */
  readonly keys: Keys | null;
  /** The accounts whose devices are the own ones of whoever needs no key. */
  readonly own?: readonly string[];
  /** Where only devices of these owners may answer. Throws ApiError where that cannot be kept; without it nothing of the kind can. */
  readonly trusting?: (owners: ReadonlySet<string>) => AnswerServer;
  /** Where it is kept how much each caller asks; without it nothing is kept. */
  readonly usage?: UsageBook;
  /** Whether a request comes from whoever runs the server, and so needs no key to see what all asked. */
  readonly isOperator?: (c: Context) => boolean;
  /** Whether a request is meant for this server; any is where this is missing. */
  readonly admits?: (addressed: Addressed) => boolean;
}

const EXPOSED = [
  'x-request-id',
  'x-potluck-receipts',
  'x-should-retry',
  'retry-after',
  'retry-after-ms',
  ...['limit', 'remaining', 'reset'].flatMap((word) => [`x-ratelimit-${word}-requests`, `x-ratelimit-${word}-tokens`]),
].join(', ');
const PREFLIGHT_S = '600';

/** Numbers requests, lets pages of other origins in where they may come, and answers their preflights (Fetch standard, 4.8). */
export function opening({ newId, admits }: AccessOptions): ApiMiddleware {
  return async (c, next) => {
    c.set('request_id', `req_${newId()}`);
    c.header('x-request-id', c.get('request_id'));
    const [host, origin] = [c.req.header('host'), c.req.header('origin')];
    if (admits && !admits({ host, origin })) {
      throw new ApiError(
        'forbidden',
        `this server does not serve ${origin ?? 'the host'} ${origin ? '' : host}`.trim(),
      );
    }
    if (origin !== undefined) {
      c.header('access-control-allow-origin', origin);
      c.header('access-control-expose-headers', EXPOSED);
      c.header('vary', 'origin');
    }
    if (c.req.method !== 'OPTIONS') return next();
    c.header('access-control-allow-methods', 'GET, POST');
    c.header('access-control-allow-headers', c.req.header('access-control-request-headers') ?? 'authorization');
    c.header('access-control-max-age', PREFLIGHT_S);
    return c.body(null, 204);
  };
}

/** Finds out who asks, and counts the request. Throws ApiError `no-key`, `too-fast`. */
export function counting({ keys, usage }: AccessOptions, quotas: Quotas): ApiMiddleware {
  return async (c, next) => {
    const caller = await callerOf(c, keys);
    c.set('caller', caller);
    c.set('model', '');
    let status: number = TOO_MANY;
    try {
      if (c.req.method === 'POST') quotas.takeRequest(caller);
      await next();
      status = c.res.status;
    } finally {
      sayQuota(c, quotas);
      if (c.req.method === 'POST') usage?.add(caller.id, c.get('model'), countsOf(status));
    }
  };
}

const TOO_MANY = 429;
/** With which a client that has gone is answered, which nobody reads. */
const GONE = 408;

const countsOf = (status: number): Partial<UsageCounts> => ({
  requests: 1,
  errors: status >= 400 && status !== TOO_MANY && status !== GONE ? 1 : 0,
  too_many: status === TOO_MANY ? 1 : 0,
});

/** Whoever runs the server, where a request comes from there; else the caller by its key. null: the operator. Throws ApiError `no-key`. */
export async function userOf(c: ApiContext, { keys, isOperator }: AccessOptions): Promise<Caller | null> {
  if (keys === null) return null;
  const named = c.req.header('authorization') !== undefined;
  return !named && isOperator?.(c) ? null : callerOf(c, keys);
}

/** Finds out who may answer. Throws ApiError `bad-request`, `unsupported`. */
export function choosing({ own, trusting }: AccessOptions, server: AnswerServer): ApiMiddleware {
  return async (c, next) => {
    const caller = c.get('caller');
    const header = c.req.header(TRUST_HEADER);
    const isOwn = caller === ANYBODY && header?.trim() === 'mine' && own !== undefined && own.length > 0;
    const owners = isOwn ? new Set(own) : trustedOwners(header, caller);
    if (owners !== null && trusting === undefined) {
      throw new ApiError('unsupported', 'this server cannot tell whose devices answer', { param: TRUST_HEADER });
    }
    if (owners !== null) c.header(OWNERS_HEADER, [...owners].join(','));
    c.set('owners', owners);
    c.set('server', owners === null ? server : trusting!(owners));
    await next();
  };
}

/** What is left to the caller, in the headers of the answer. */
export function sayQuota(c: ApiContext, quotas: Quotas): void {
  for (const [name, value] of Object.entries(quotaHeaders(quotas.left(c.get('caller'))))) c.header(name, value);
}

async function callerOf(c: ApiContext, keys: Keys | null): Promise<Caller> {
  if (keys === null) return ANYBODY;
  const [, key] = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
  if (key === undefined) {
    throw new ApiError('no-key', 'expected the header Authorization: Bearer KEY, with a key of this server');
  }
  const caller = await keys.callerOf(key);
  if (caller === null) throw new ApiError('no-key', 'this key is not, or no longer, one of this server');
  return caller;
}
