// Sends one signed event to a hub over HTTP, for whoever has no connection to it.
import { z } from 'zod';
import { PeerError } from '../protocol/peer-errors.ts';
import { askHub } from './find-run.ts';

/** A hub reads all of a first model before it takes the event that names it: a busy machine takes most of a minute for each gigabyte. */
const CHECKING_MS = 180_000;
/** How often an event is sent again when the hub says that it came too fast, and the longest wait; beyond that a person is told. */
const SENDING = { attempts: 5, longest_wait_s: 30 };

/**
 * Sends a signed event over HTTP; resolves with its id. Where the hub asks to wait, it waits and sends it again.
 * Throws PeerError refused (`details.refusal` has the core's code, or the hub's), hub-unreachable, not-a-hub.
 */
export async function sendEvent(url: string, event: Uint8Array): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    const request = { method: 'POST', body: event as Uint8Array<ArrayBuffer> };
    const { status, json } = await askHub(url, '/events', request, CHECKING_MS);
    const answer = AnswerSchema.safeParse(json);
    if (!answer.success)
      throw new PeerError('not-a-hub', `expected a Potluck hub at ${url}, it answered ${status}`, { url });
    if ('event' in answer.data) return answer.data.event;
    const { code, message, details } = answer.data.error;
    const wait_s = code === 'too-fast' ? (details?.retry_after_s ?? 1) : Number.POSITIVE_INFINITY;
    if (wait_s > SENDING.longest_wait_s || attempt === SENDING.attempts) {
      throw new PeerError('refused', message, { refusal: details?.refusal ?? code });
    }
    await new Promise((resolve) => setTimeout(resolve, wait_s * 1000));
  }
}

const AnswerSchema = z.union([
  z.object({ event: z.string() }),
  z.object({
    error: z.object({
      code: z.string().max(60),
      message: z.string(),
      details: z
        .object({ refusal: z.string().max(60).optional(), retry_after_s: z.number().min(0).optional() })
        .optional(),
    }),
  }),
]);
