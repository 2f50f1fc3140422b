// What whoever asks over HTTP hears when something goes wrong: `{error: {code, message, details}}`.
import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { addressOf } from './rate-limits.ts';

export const problem = (code: string, message: string, details: object = {}) => ({ error: { code, message, details } });

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
