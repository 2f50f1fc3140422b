// A way to an S3 on which requests are refused, come twice or slowly, and answers are lost, as it is told to. What it passes on is untouched.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { S3Place } from '../hub/named-place.ts';

export interface Weather {
  /** Of a hundred requests: so many get 503 and never reach the store. */
  readonly refused_percent: number;
  /** Of a hundred that change something: so many are done, and their answer is lost. */
  readonly lost_percent: number;
  /** So many reach the store twice; the second answer is passed on. */
  readonly twice_percent: number;
  /** So many get 409 `ConditionalRequestConflict` and never reach the store. */
  readonly conflict_percent: number;
  /** A PUT waits so long on its way. */
  readonly put_ms: number;
}

export const FAIR: Weather = { refused_percent: 0, lost_percent: 0, twice_percent: 0, conflict_percent: 0, put_ms: 0 };

export interface BadWay {
  /** The same bucket, at the end of this way. */
  readonly place: S3Place;
  /** How many requests have been passed on untouched, refused, lost, doubled and refused as in conflict. */
  readonly counts: Readonly<Record<'passed' | 'refused' | 'lost' | 'twice' | 'conflict', number>>;
  turn(weather: Weather): void;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A signature names the host that was asked, so the store is asked in the name of this way. */
export async function openBadWay(place: S3Place): Promise<BadWay> {
  const { hostname, port, pathname } = new URL(place.url);
  const counts = { passed: 0, refused: 0, lost: 0, twice: 0, conflict: 0 };
  let weather = FAIR;
  const happens = (percent: number): boolean => Math.random() * 100 < percent;

  const passOn = async (asked: IncomingMessage, body: Buffer): Promise<Answer> => {
    const { method, url: path, headers } = asked;
    const passed = request({ hostname, port, method, path, headers });
    passed.end(body);
    const [answer] = (await once(passed, 'response')) as [IncomingMessage];
    return { status: answer.statusCode!, headers: answer.headers, body: await allOf(answer) };
  };
  const answer = async (asked: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await allOf(asked);
    const changes = asked.method !== 'GET' && asked.method !== 'HEAD';
    if (asked.method === 'PUT' && weather.put_ms > 0) await pause(weather.put_ms);
    if (happens(weather.refused_percent)) {
      counts.refused++;
      return refuse(response, 503, 'SlowDown');
    }
    if (changes && happens(weather.conflict_percent)) {
      counts.conflict++;
      return refuse(response, 409, 'ConditionalRequestConflict');
    }
    let said = await passOn(asked, body);
    if (changes && happens(weather.lost_percent)) {
      counts.lost++;
      response.destroy();
      return;
    }
    if (changes && happens(weather.twice_percent)) {
      counts.twice++;
      said = await passOn(asked, body);
    } else counts.passed++;
    response.writeHead(said.status, said.headers).end(said.body);
  };
  const server = createServer((asked, response) => {
    answer(asked, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = (server.address() as AddressInfo).port;
  return {
    place: { ...place, url: `http://127.0.0.1:${own}${pathname}` },
    counts,
    turn(next) {
      weather = next;
    },
    async close() {
      const gone = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await gone;
    },
  };
}

function refuse(response: ServerResponse, status: number, code: string): void {
  response.writeHead(status, { 'content-type': 'application/xml' }).end(`<Error><Code>${code}</Code></Error>`);
}

async function allOf(stream: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of stream) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
