// The process that `bench api` measures: the API over a source of tokens that is nothing but a clock.
import { randomBytes } from 'node:crypto';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createAdaptorServer } from '@hono/node-server';
import { systemClock } from '../protocol/clock.ts';
import type { AnswerEvent, AnswerServer } from '../serving/answers.ts';
import { openaiApi } from '../serving/api/app.ts';
import { keysIn, makeKey } from '../serving/api/keys.ts';
import { WORD } from './stream-readers.ts';

/** What each stream gets. */
export interface GatewayOrder {
  readonly tokens: number;
  readonly pause_ms: number;
}

export interface GatewayFigures {
  readonly cpu_ms: number;
  readonly rss_bytes: number;
  readonly most_rss_bytes: number;
}

const SAMPLED_MS = 100;

function clockServer({ tokens, pause_ms }: GatewayOrder): AnswerServer {
  return {
    models: () => [
      {
        ...{ name: 'clock', hash: '0'.repeat(64), quantisation: 'f32', engine: 'clock', context_tokens: 4096 },
        ...{ created_ms: 0, licence: null, chat: true, tools: false, embeddings: false },
      },
    ],
    async *answer(_, signal): AsyncGenerator<AnswerEvent> {
      yield { kind: 'begun', prompt_tokens: 10 };
      for (let i = 0; i < tokens; i++) {
        await pause(pause_ms);
        signal.throwIfAborted();
        yield { kind: 'token', position: 10 + i, id: 1, text: WORD, echoed: false, logprob: null, top: [] };
      }
      yield { kind: 'ended', text: '', reason: 'length', end_id: null, written_tokens: tokens };
    },
    embed: () => Promise.reject(new Error('a clock has no vectors')),
  };
}

/** The source alone: as many readers as streams, without an API between. */
async function readClock(server: AnswerServer, readers: number): Promise<void> {
  const { signal } = new AbortController();
  const read = async (): Promise<void> => {
    for await (const _ of server.answer({} as never, signal));
  };
  await Promise.all(Array.from({ length: readers }, read));
}

async function main(order: GatewayOrder): Promise<void> {
  const server = clockServer(order);
  const { key, record } = makeKey('bench', { requests_per_minute: 1e6, tokens_per_minute: 1e9 }, 0, randomBytes);
  const records = new Map([[record.hash, record]]);
  const app = openaiApi(server, {
    clock: systemClock,
    newId: () => randomBytes(12).toString('hex'),
    keys: keysIn(async () => records),
    onError: (error) => console.error(error),
  });
  const http = createAdaptorServer({ fetch: app.fetch }) as Server;
  let most_rss_bytes = 0;
  const sample = (): void => {
    most_rss_bytes = Math.max(most_rss_bytes, process.memoryUsage.rss());
  };
  setInterval(sample, SAMPLED_MS).unref();
  const figures = (since = { user: 0, system: 0 }): GatewayFigures => {
    sample();
    const { user, system } = process.cpuUsage();
    const cpu_ms = (user - since.user + system - since.system) / 1000;
    return { cpu_ms, rss_bytes: process.memoryUsage.rss(), most_rss_bytes };
  };
  process.on('message', async (question: { do: 'figures' } | { do: 'clock'; readers: number }) => {
    if (question.do === 'figures') return process.send!(figures());
    const before = process.cpuUsage();
    await readClock(server, question.readers);
    process.send!(figures(before));
  });
  http.listen(0, '127.0.0.1', 4096, () => process.send!({ port: (http.address() as AddressInfo).port, key }));
}

await main(JSON.parse(process.argv[2]));
