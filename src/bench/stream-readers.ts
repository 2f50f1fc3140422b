// Many callers of the API that open their streams at once and count the tokens of each, as cheaply as that can be done.
import { Agent, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { BenchError } from './errors.ts';

/** What a source of such a bench writes as a token: four letters and a space, as of English. */
export const WORD = ' word';
/** How it stands in an event. */
const TOKEN = `"${WORD}"`;

export interface Readers {
  readonly port: number;
  /** null: the server wants none. */
  readonly key: string | null;
  readonly model: string;
  readonly streams: number;
  /** Tokens of each stream at most; missing: as the server has them. */
  readonly max_tokens?: number;
  /** They open one after the other within this time; missing: all at once. */
  readonly ramp_ms?: number;
}

/** Answers with which a server asks to come again. */
const AGAIN: readonly (number | undefined)[] = [429, 503];
const MOST_TRIES = 50;

/**
 * Opens all streams and reads them to their ends; where the server asks for it, a caller comes again, as clients do. Resolves with the
 * tokens of each, and how often one had to. Throws BenchError `engine-failed`.
 */
export async function readStreams(readers: Readers): Promise<{ readonly counts: number[]; readonly again: number }> {
  const { port, key, model, streams, max_tokens, ramp_ms = 0 } = readers;
  const agent = new Agent({ maxSockets: streams });
  const messages = [{ role: 'user', content: 'Hello' }];
  const body = JSON.stringify({ model, messages, stream: true, ...(max_tokens && { max_tokens }) });
  const headers = { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) };
  const options = { agent, port, host: '127.0.0.1', path: '/v1/chat/completions', method: 'POST', headers };
  let again = 0;
  const readOne = (tries = 1): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request(options, (response) => {
        if (AGAIN.includes(response.statusCode) && tries < MOST_TRIES) {
          again++;
          response.resume();
          setTimeout(
            () => readOne(tries + 1).then(resolve, reject),
            Number(response.headers['retry-after-ms'] ?? 1000),
          );
          return;
        }
        let count = 0;
        let tail = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          const text = tail + piece;
          count += text.split(TOKEN).length - 1;
          tail = text.slice(1 - TOKEN.length); // too short for a whole one
        });
        response.on('end', () => resolve(count));
        response.on('error', reject);
        if (response.statusCode !== 200) reject(new BenchError('engine-failed', `HTTP ${response.statusCode}`));
      });
      asked.on('error', reject);
      asked.end(body);
    });
  const counts = await Promise.all(
    Array.from({ length: streams }, async (_, i) => {
      await wait((i * ramp_ms) / streams);
      return readOne();
    }),
  ).finally(() => agent.destroy());
  return { counts, again };
}
