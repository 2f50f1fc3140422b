// Errors as HTTP answers: `{error: {code, message, details}}`.
import type { HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import { CodedError, type ErrorDetails } from '../errors.ts';
import { LedgerError, type LedgerErrorCode } from '../ledger/errors.ts';
import type { AddressOf } from './askers.ts';

/** Of answers that are true only now. */
export const NO_STORE = { 'cache-control': 'no-store' };

export const problem = (code: string, message: string, details: object = {}) => ({ error: { code, message, details } });

/** Messages for errors of a store, which may pass; the store's own messages contain file names of this machine. */
const OWN_TROUBLE: Partial<Record<LedgerErrorCode, string>> = {
  'blob-corrupt': 'the blob is damaged on the disk of this hub',
  'log-corrupt': 'a part of the log is damaged on the disk of this hub',
  'store-unusable': "this hub cannot use its disk's folder",
  'store-busy': "this hub's store does not answer in time; send it again in a moment",
  'disk-full': "this hub's disk is full",
  'write-failed': 'this hub can no longer write its log',
  fenced: 'another process of this hub writes its log now; send it again in a moment',
  'journal-unreachable': 'this hub cannot read its log at the moment; send it again later',
  overloaded: 'this hub has more to write than it may hold; send it again in a moment',
  closed: 'this hub is going down',
};
/** HTTP statuses of our codes, where another than 400 is right. */
const STATUS: Readonly<Record<string, 403 | 421 | 429 | 503 | 507>> = {
  'disk-full': 507,
  'log-failed': 503,
  overloaded: 503,
  'store-busy': 503,
  closing: 503,
  'no-leader': 503,
  fenced: 503,
  'journal-unreachable': 503,
  'too-fast': 429,
  'wrong-host': 421,
  'wrong-origin': 403,
  'not-public': 403,
  busy: 503,
  'too-slow': 503,
  'too-much': 429,
};
/** Codes whose cause is the client, not the hub, so that the operator need not be told. */
const OF_THE_ASKERS = ['busy', 'too-slow'];

export interface Answer {
  readonly status: 400 | 403 | 421 | 429 | 500 | 503 | 507;
  readonly code: string;
  /** One sentence, for strangers. */
  readonly message: string;
  readonly details: ErrorDetails;
  /** Whether the hub's operator should be told. */
  readonly trouble: boolean;
}

/** An error as strangers see it: what is wrong, without anything about this machine. */
export function answerTo(error: unknown): Answer {
  if (!(error instanceof CodedError)) {
    return { status: 500, code: 'hub-failed', message: 'the hub failed at this request', details: {}, trouble: true };
  }
  const { code, message, details } = error;
  const own = error instanceof LedgerError ? OWN_TROUBLE[error.code] : undefined;
  if (own !== undefined) return { status: STATUS[code] ?? 500, code, message: own, details: {}, trouble: true };
  const status = STATUS[code] ?? 400;
  return { status, code, message, details, trouble: status >= 500 && !OF_THE_ASKERS.includes(code) };
}

declare module 'hono' {
  interface ContextVariableMap {
    asker: string | null;
    /** The code of an error that was thrown and answered. */
    thrown: string;
  }
}

/** Node's own view of a request. */
export const incomingOf = (c: Context) => (c.env as HttpBindings).incoming;

/** Records for every request whom it is counted under; add it before everything that asks for that. */
export function noteAskers(app: Hono, addressOf: AddressOf): void {
  app.use(async (c, next) => {
    c.set('asker', addressOf(incomingOf(c)));
    await next();
  });
}

/** The key that a request is counted under; null for a program of this machine, which is not limited. */
export const addressOfAsker = (c: Context): string | null => c.get('asker');

export const malformedHash = (c: Context) =>
  c.json(problem('malformed', 'expected /blobs/ and 64 hexadecimal digits'), 400);

/** The size that a request announces, or the answer to one that announces none or too much. */
export function announcedBytes(c: Context, max_bytes: number): number | Response {
  const text = c.req.header('content-length') ?? '';
  if (!/^\d{1,15}$/.test(text) || c.req.header('transfer-encoding')) {
    return c.json(problem('length-required', 'expected a body whose content-length is announced'), 411);
  }
  const size_bytes = Number(text);
  if (size_bytes <= max_bytes) return size_bytes;
  return c.json(problem('too-large', `at most ${max_bytes} bytes, got ${size_bytes}`, { max_bytes }), 413);
}
