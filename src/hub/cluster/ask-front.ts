// Asks another process of the hub, over HTTP as its devices do, whether it is better placed than this one (cut-off.ts).
import { z } from 'zod';
import type { FrontsWord } from './cut-off.ts';

/** Whoever takes longer is no place to send devices to. */
const ANSWER_MS = 1000;

/** What GET /ready answers, as far as it matters here. */
const ReadySchema = z.object({ ready: z.boolean(), lacks: z.enum(['bus', 'journal']).optional() });

export async function askFront(url: string): Promise<FrontsWord> {
  try {
    const answer = await fetch(new URL('/ready', url), { signal: AbortSignal.timeout(ANSWER_MS), redirect: 'error' });
    const { ready, lacks } = ReadySchema.parse(await answer.json());
    return ready && lacks === undefined ? 'fine' : 'lacking';
  } catch {
    return 'silent';
  }
}
