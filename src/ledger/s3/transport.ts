// HTTP requests to one store on connections that are kept, by Node's own client: fetch takes three times the processor time for the same bytes.
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { concatBytes } from '@noble/hashes/utils.js';

/** So long a connection is kept that nobody uses: stores close theirs later, so that a request seldom meets one that is just being closed. */
const IDLE_MS = 4000;

export interface HttpRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** How long the store may be silent, before its answer and within it. */
  readonly silence_ms: number;
}

/** An answer whose body is still to be read, in one of two ways. Both throw where the store breaks off or is silent for too long. */
export interface HttpAnswer {
  readonly status: number;
  /** null where there is none. */
  header(name: string): string | null;
  all(): Promise<Uint8Array>;
  /** Piece by piece; ending the iteration early ends the request. Only waiting for the store counts as silence. */
  pieces(): AsyncGenerator<Uint8Array, void>;
}

/** Follows no redirects. Rejects where nothing answers. */
export type Http = (request: HttpRequest) => Promise<HttpAnswer>;

export function openHttp(origin: string): Http {
  const settings = { keepAlive: true, timeout: IDLE_MS };
  const secure = origin.startsWith('https:');
  const agent = secure ? new HttpsAgent(settings) : new HttpAgent(settings);
  const ask = secure ? requestHttps : requestHttp;
  return ({ method, url, headers, body, silence_ms }) =>
    new Promise((resolve, reject) => {
      const length = body || method === 'PUT' || method === 'POST' ? { 'content-length': body?.length ?? 0 } : {};
      const request = ask(url, { method, agent, headers: { ...headers, ...length } });
      const silence = watch(silence_ms, (error) => request.destroy(error));
      request.once('response', (response) => {
        silence.end();
        resolve(answerOf(response, silence_ms));
      });
      // Also after the answer has begun: what breaks off then is told to its reader.
      request.on('error', (error) => {
        silence.end();
        reject(error);
      });
      silence.begin();
      request.end(body);
    });
}

function answerOf(response: IncomingMessage, silence_ms: number): HttpAnswer {
  response.on('error', () => {}); // nobody may be reading yet, and whoever reads then is told
  const silence = watch(silence_ms, (error) => response.destroy(error));
  return {
    status: response.statusCode!,
    header: (name) => (response.headers[name] as string | undefined) ?? null,
    async all() {
      if (response.errored) throw response.errored; // it broke off with its first bytes
      const parts: Uint8Array[] = [];
      silence.begin();
      try {
        await new Promise<void>((resolve, reject) => {
          response.on('data', (part: Uint8Array) => {
            parts.push(part);
            silence.begin();
          });
          response.once('end', resolve);
          response.once('error', reject);
        });
      } finally {
        silence.end();
      }
      return concatBytes(...parts);
    },
    async *pieces() {
      const reader = response[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
      try {
        for (;;) {
          silence.begin();
          const part = await reader.next();
          silence.end();
          if (part.done) break;
          yield part.value;
        }
      } finally {
        silence.end();
        response.destroy();
      }
    },
  };
}

/** Gives up when nothing comes for too long. `begin`: from here on the store is waited for. */
function watch(silence_ms: number, giveUp: (error: Error) => void): { begin(): void; end(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return {
    begin() {
      if (timer) timer.refresh();
      else timer = setTimeout(() => giveUp(new Error(`silent for ${silence_ms / 1000} s`)), silence_ms);
    },
    end() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
