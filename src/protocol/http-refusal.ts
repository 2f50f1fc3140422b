// What an answer over HTTP says that is no success: the hub's own words, or those of something between.
import { z } from 'zod';
import type { Answer } from './line.ts';
import { PeerError } from './peer-errors.ts';

const RefusalSchema = z.object({
  error: z.object({
    code: z.string().max(60),
    message: z.string().max(2000),
    details: z
      .object({ refusal: z.string().max(60).optional(), retry_after_s: z.number().min(0).optional() })
      .optional(),
  }),
});

/** What a hub says in JSON instead of an answer; null: it has not said so. Seconds are those after which to ask again. */
export function wordsOf(json: unknown): { code: string; message: string; retry_after_s: number | null } | null {
  const parsed = RefusalSchema.safeParse(json);
  if (!parsed.success) return null;
  const { code, message, details } = parsed.data.error;
  return { code, message, retry_after_s: details?.retry_after_s ?? null };
}

/** The error for an answer that the hub gave, or that a proxy gave in its place: a hub answers in JSON, and with a code. */
export function refusalOf({ status, bytes }: Pick<Answer, 'status' | 'bytes'>, to: string): PeerError {
  const parsed = RefusalSchema.safeParse(parseJson(bytes));
  if (parsed.success) {
    const { code, message, details } = parsed.data.error;
    const refusal = details?.refusal ?? code;
    return new PeerError('refused', `the hub refused ${to}: ${message} (${code})`, { refusal, status });
  }
  const hint = HINTS[status] ?? '';
  return new PeerError(
    'proxy-answered',
    `something between this device and the hub, a proxy or another program, answered ${status} to ${to}${hint}`,
    { status },
  );
}

const HINTS: Readonly<Record<number, string>> = {
  413: ': it lets no body of this size pass',
  502: ': it could not reach the hub',
  504: ': the hub did not answer it in time',
};

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return null;
  }
}
