// Many callers of the API that open their streams at once and count the tokens of each, as cheaply as that can be done.
import { Agent, request } from 'node:http';
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
}

/** Opens all streams at once and reads them to their ends. Resolves with the tokens of each. Throws BenchError `engine-failed`. */
export function readStreams({ port, key, model, streams, max_tokens }: Readers): Promise<number[]> {
  const agent = new Agent({ maxSockets: streams });
  const messages = [{ role: 'user', content: 'Hello' }];
  const body = JSON.stringify({ model, messages, stream: true, ...(max_tokens && { max_tokens }) });
  const headers = { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) };
  const options = { agent, port, host: '127.0.0.1', path: '/v1/chat/completions', method: 'POST', headers };
  const readOne = (): Promise<number> =>
    new Promise((resolve, reject) => {
      const asked = request(options, (response) => {
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
  return Promise.all(Array.from({ length: streams }, readOne)).finally(() => agent.destroy());
}
