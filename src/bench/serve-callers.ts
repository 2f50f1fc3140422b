// A caller of the API as a bench sees it: asks for a completion, reads the stream, and notes how it went.
import { setTimeout as wait } from 'node:timers/promises';
import { eventsOf } from '../serving/api/event-reader.ts';

export interface CallerOutcome {
  readonly seed: number;
  readonly text: string;
  /** `whole`, or what broke it off: the code of the error in the stream, `cut` where the stream ended without one. */
  readonly end: string;
  /** How often it was told to come again before it began. */
  readonly refusals: number;
  readonly first_token_s: number;
  /** The longest time between two pieces of text. */
  readonly longest_gap_s: number;
}

interface Asked {
  readonly prompt: string;
  readonly seed: number;
  readonly max_tokens: number;
}

/** Asks until there is room, and reads the answer. */
export async function readAnswer(url: string, asked: Asked): Promise<CallerOutcome> {
  for (let refusals = 0; ; refusals++) {
    const begun_ms = performance.now();
    const body = JSON.stringify({ model: 'bench', temperature: 1, stream: true, ...asked });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(new URL('/v1/completions', url), { method: 'POST', headers, body });
    if (response.status === 429) {
      await response.body?.cancel();
      await wait(Number(response.headers.get('retry-after-ms') ?? 1000));
      continue;
    }
    const none = { seed: asked.seed, text: '', refusals, first_token_s: 0, longest_gap_s: 0 };
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      return { ...none, end: `http ${response.status}` };
    }
    return { ...none, ...(await readStream(response.body, begun_ms)) };
  }
}

async function readStream(body: ReadableStream<Uint8Array>, begun_ms: number) {
  let text = '';
  let end = 'cut';
  let isFinished = false;
  let first_token_s = 0;
  let longest_gap_s = 0;
  let last_ms = begun_ms;
  try {
    for await (const data of eventsOf(body)) {
      if (data === '[DONE]') {
        if (isFinished) end = 'whole';
        break;
      }
      const event = JSON.parse(data) as {
        readonly error?: { readonly code: string };
        readonly choices?: readonly { readonly text?: string; readonly finish_reason?: string | null }[];
      };
      if (event.error) {
        end = event.error.code;
        break;
      }
      const now_ms = performance.now();
      if (text === '') first_token_s = (now_ms - begun_ms) / 1000;
      else longest_gap_s = Math.max(longest_gap_s, (now_ms - last_ms) / 1000);
      last_ms = now_ms;
      text += event.choices?.[0]?.text ?? '';
      isFinished ||= Boolean(event.choices?.[0]?.finish_reason);
    }
  } catch {
    end = 'cut';
  }
  return { text, end, first_token_s, longest_gap_s };
}
