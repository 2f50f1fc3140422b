// Uploads a blob straight to where the hub keeps it, an S3 bucket, with an address that the hub has signed for this blob and nothing else.
import { z } from 'zod';
import { parseJson, refusalOf } from '../protocol/http-refusal.ts';
import { type Line, megabytes } from '../protocol/line.ts';
import type { TransferWatch } from './upload.ts';

const AnswerSchema = z.object({
  direct: z.object({ url: z.string().max(4096), headers: z.record(z.string(), z.string().max(200)) }).nullable(),
  /** Whether the hub ever lets devices upload elsewhere. */
  ever: z.boolean(),
});

/** How often the bucket is tried before the hub is given the bytes: this device may not reach the bucket at all. */
const TRIES = 2;
/** A whole upload has one answer, at its end; slower lines do better with parts, which the hub takes. */
const PATIENCE = { least_ms: 30_000, bytes_per_ms: 50 } as const;

/**
 * `sent`: the bucket has all of it, and has checked it. `not-this`: give this blob to the hub. `never`: this hub keeps its blobs itself.
 * Throws PeerError `refused`, `proxy-answered`, `hub-unreachable`.
 * @param headers who uploads, for the hub only
 */
export async function sendDirectly(
  line: Line,
  url: () => string,
  { hash, bytes }: { readonly hash: string; readonly bytes: Uint8Array },
  headers: Record<string, string>,
  watch: TransferWatch,
  closing: AbortSignal,
): Promise<'sent' | 'not-this' | 'never'> {
  for (let tries = 1; tries <= TRIES; tries++) {
    const body = JSON.stringify({ hash, size_bytes: bytes.length });
    const init = () => ({ method: 'POST', body, headers: { ...headers, 'content-type': 'application/json' } });
    const answer = await line.ask({
      url: () => `${url()}/uploads`,
      init,
      max_bytes: 1 << 16,
      onTrouble: watch.trouble,
    });
    const parsed = AnswerSchema.safeParse(parseJson(answer.bytes));
    if (!parsed.success) {
      // An older hub does not know the question; a refusal is one of this upload.
      if (answer.status === 404 || answer.status < 400) return 'never';
      throw refusalOf(answer, `an upload of ${megabytes(bytes.length, null)}`);
    }
    const { direct, ever } = parsed.data;
    if (direct === null) return ever ? 'not-this' : 'never';
    const patience = AbortSignal.timeout(PATIENCE.least_ms + Math.ceil(bytes.length / PATIENCE.bytes_per_ms));
    const came = await fetch(direct.url, {
      ...{ method: 'PUT', body: bytes as Uint8Array<ArrayBuffer>, headers: direct.headers },
      ...{ signal: AbortSignal.any([patience, closing]), credentials: 'omit', referrerPolicy: 'no-referrer' },
    }).catch(() => null);
    await came?.arrayBuffer().catch(() => {}); // what it says is for people who look at the bucket
    if (came?.ok) {
      watch.at(bytes.length, bytes.length);
      return 'sent';
    }
    if (closing.aborted) return 'not-this'; // the line says that this device has stopped
  }
  return 'not-this';
}
