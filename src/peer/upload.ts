// Uploads a blob in parts, each answered separately, so that a slow line is told apart from a dead one, and a broken upload can be resumed.
import { z } from 'zod';
import { parseJson, refusalOf } from '../protocol/http-refusal.ts';
import { type Line, megabytes, type Trouble } from '../protocol/line.ts';

/** Called with the progress of a transfer. */
export interface TransferWatch {
  at(done_bytes: number, total_bytes: number | null): void;
  trouble(trouble: Trouble): void;
  done(): void;
}

const PARTS = {
  least_bytes: 32 << 10, // at 1 kB/s it takes less time than a silence may last
  first_bytes: 256 << 10,
  most_bytes: 1 << 20, // nginx's default limit for a request body
  grows_below_ms: 2000,
  rounds: 8, // without progress, before the upload is given up
} as const;

const ReceivedSchema = z.object({ received_bytes: z.int().min(0) });

/** Resolves when the hub has all of it. Throws PeerError `refused`, `proxy-answered`, `hub-unreachable`. */
export async function sendBlob(
  line: Line,
  url: string | (() => string),
  bytes: Uint8Array,
  headers: Record<string, string>,
  watch: TransferWatch,
): Promise<void> {
  let part_bytes: number = PARTS.first_bytes;
  let at = 0;
  let farthest = 0;
  let stuck = 0;
  const smaller = (): void => {
    part_bytes = Math.max(PARTS.least_bytes, part_bytes / 2);
  };
  for (;;) {
    const begun_ms = performance.now();
    const answer = await line.ask({
      url,
      init: () => {
        const end = Math.min(bytes.length, at + part_bytes);
        const part = { ...headers, 'content-range': `bytes ${at}-${end - 1}/${bytes.length}` };
        return {
          method: 'PUT',
          body: bytes.subarray(at, end) as Uint8Array<ArrayBuffer>,
          headers: end - at === bytes.length ? headers : part,
        };
      },
      max_bytes: 1 << 16,
      onTrouble(trouble) {
        watch.trouble(trouble);
        if (trouble.silent) smaller();
      },
    });
    if (answer.status === 201) return watch.at(bytes.length, bytes.length);
    const received = ReceivedSchema.safeParse(parseJson(answer.bytes));
    const refusal = refusalOf(answer, `an upload of ${megabytes(bytes.length, null)}`);
    if (received.success && (answer.status === 202 || answer.status === 409)) {
      at = Math.min(received.data.received_bytes, bytes.length - 1);
      stuck = at > farthest ? 0 : stuck + 1;
      if (stuck > PARTS.rounds) throw refusal;
      farthest = Math.max(farthest, at);
      watch.at(at, bytes.length);
      if (performance.now() - begun_ms < PARTS.grows_below_ms) part_bytes = Math.min(PARTS.most_bytes, part_bytes * 2);
    } else if (refusal.code === 'proxy-answered' && answer.status === 413 && part_bytes > PARTS.least_bytes) smaller();
    else throw refusal;
  }
}
