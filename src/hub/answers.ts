// What whoever asks over HTTP hears when something goes wrong: `{error: {code, message, details}}`.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { CodedError, type ErrorDetails } from '../errors.ts';
import { LedgerError, type LedgerErrorCode } from '../ledger/errors.ts';
import { addressOf } from './rate-limits.ts';

export const problem = (code: string, message: string, details: object = {}) => ({ error: { code, message, details } });

/** What a store says when it cannot serve, whoever asks: worth another try. Its own words name files of this machine. */
const OWN_TROUBLE: Partial<Record<LedgerErrorCode, string>> = {
  'blob-corrupt': 'the blob is damaged on the disk of this hub',
  'log-corrupt': 'a part of the log is damaged on the disk of this hub',
  'store-unusable': "this hub cannot use its disk's folder",
  'disk-full': "this hub's disk is full",
  'write-failed': 'this hub cannot write its log any more',
  overloaded: 'this hub has more to write than it may hold; send it again in a moment',
  closed: 'this hub is going down',
};
/** Codes of ours that are the hub's trouble and not the asker's, with the status that says so. */
const STATUS: Readonly<Record<string, 503 | 507>> = {
  'disk-full': 507,
  'log-failed': 503,
  overloaded: 503,
  closing: 503,
};

export interface Answer {
  readonly status: 400 | 429 | 500 | 503 | 507;
  readonly code: string;
  /** One sentence, for strangers. */
  readonly message: string;
  readonly details: ErrorDetails;
}

/** An error as strangers get to hear it: whose trouble it is, and nothing about this machine. */
export function answerTo(error: unknown): Answer {
  if (!(error instanceof CodedError)) {
    return { status: 500, code: 'hub-failed', message: 'the hub failed at this request', details: {} };
  }
  const { code, message, details } = error;
  const own = error instanceof LedgerError ? OWN_TROUBLE[error.code] : undefined;
  if (own !== undefined) return { status: STATUS[code] ?? 500, code, message: own, details: {} };
  if (code === 'too-fast') return { status: 429, code, message, details };
  return { status: STATUS[code] ?? 400, code, message, details };
}

export const addressOfAsker = (c: Context): string | null => addressOf((c.env as HttpBindings).incoming);

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
