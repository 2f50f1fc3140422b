// Turns an unsuccessful HTTP answer into an error, whether the hub gave it or a proxy in front of the hub.
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

/** The hub's refusal, which comes as JSON; null where the answer is not one. `retry_after_s`: when to ask again. */
export function wordsOf(json: unknown): { code: string; message: string; retry_after_s: number | null } | null {
  const parsed = RefusalSchema.safeParse(json);
  if (!parsed.success) return null;
  const { code, message, details } = parsed.data.error;
  return { code, message, retry_after_s: details?.retry_after_s ?? null };
}

/** The error for an unsuccessful answer. A hub answers in JSON with a code; anything else came from a proxy. */
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
