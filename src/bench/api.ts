// The API as a gateway: what a streamed token costs it, and what it holds, with many streams open at once and a source of tokens that costs nothing.

import { fork } from 'node:child_process';
import { join } from 'node:path';
import type { GatewayFigures, GatewayOrder } from './api-gateway.ts';
import { decimal, type Report, type Values, whole } from './bench.ts';
import { nextMessage } from './child-messages.ts';
import { BenchError } from './errors.ts';
import { costsTooMuch, GATEWAY_BOUNDS } from './gateway-bounds.ts';
import { table, wholeNumber } from './report.ts';
import { readStreams } from './stream-readers.ts';

export const options = {
  streams: whole('streams that are open at the same time', { from: 1, to: 20_000, usual: 1000, quick: 50 }),
  tokens: whole('tokens of each stream', { from: 1, to: 10_000, usual: 60, quick: 20 }),
  per_second: decimal('tokens of a stream in a second', { from: 0.1, to: 1000, usual: 3, quick: 20 }),
};

export const notes = `The gateway is a process of its own: the API with keys, quotas and keep-alive, over HTTP. Its tokens come from a clock. What the clock
itself costs, with as many readers in the process and no API, is measured apart and shown. The clients are in this process, whose
processor time is not counted. Memory is the most that the gateway held (RSS).`;

export async function run({ streams, tokens, per_second }: Values<typeof options>): Promise<Report> {
  const order: GatewayOrder = { tokens, pause_ms: 1000 / per_second };
  const clock = await withGateway(order, (gateway) => gateway.ask<GatewayFigures>({ do: 'clock', readers: streams }));
  const served = await withGateway(order, async (gateway) => {
    const before = await gateway.ask<GatewayFigures>({ do: 'figures' });
    const begun_ms = performance.now();
    const { counts } = await readStreams({ port: gateway.port, key: gateway.key, model: 'clock', streams });
    const wall_s = (performance.now() - begun_ms) / 1000;
    const after = await gateway.ask<GatewayFigures>({ do: 'figures' });
    return { ...after, cpu_ms: after.cpu_ms - before.cpu_ms, idle_rss_bytes: before.rss_bytes, wall_s, counts };
  });
  const whole_count = streams * tokens;
  const said = served.counts.reduce((sum, count) => sum + count, 0);
  if (said !== whole_count) {
    throw new BenchError('wrong-result', `expected ${whole_count} tokens in ${streams} streams, got ${said}`);
  }
  const data = {
    ...{ streams, tokens, per_second, wall_s: served.wall_s },
    cpu_ms_a_token: served.cpu_ms / whole_count,
    clock_cpu_ms_a_token: clock.cpu_ms / whole_count,
    rss_bytes: served.most_rss_bytes,
    idle_rss_bytes: served.idle_rss_bytes,
  };
  const rows = [
    [
      'processor time a streamed token',
      `${data.cpu_ms_a_token.toFixed(3)} ms`,
      `≤ ${GATEWAY_BOUNDS.cpu_ms_a_token} ms`,
    ],
    ['of which the source of the tokens alone', `${data.clock_cpu_ms_a_token.toFixed(3)} ms`, ''],
    ['memory at most', `${wholeNumber(data.rss_bytes / 1e6)} MB`, `≤ ${GATEWAY_BOUNDS.rss_bytes / 1e6} MB`],
    ['memory before the first request', `${wholeNumber(data.idle_rss_bytes / 1e6)} MB`, ''],
    ['time for all streams', `${data.wall_s.toFixed(1)} s`, `${wholeNumber(whole_count / data.wall_s)} tokens/s`],
  ];
  return {
    data,
    text: `${wholeNumber(streams)} streams of ${tokens} tokens, ${per_second} a second each\n\n${table(['', 'measured', 'bound'], rows)}`,
    failure: costsTooMuch(data) ? new BenchError('bound-broken', 'the gateway costs more than is promised') : null,
  };
}

interface Gateway {
  readonly port: number;
  readonly key: string;
  ask<T>(question: object): Promise<T>;
}

const GATEWAY = 'the gateway';

/** Runs something with a gateway in a process of its own. */
async function withGateway<T>(order: GatewayOrder, work: (gateway: Gateway) => Promise<T>): Promise<T> {
  const child = fork(join(import.meta.dirname, 'api-gateway.ts'), [JSON.stringify(order)]);
  try {
    const { port, key } = (await nextMessage(child, GATEWAY)) as { port: number; key: string };
    return await work({
      ...{ port, key },
      ask(question) {
        const answer = nextMessage(child, GATEWAY) as Promise<never>;
        child.send(question);
        return answer;
      },
    });
  } finally {
    child.kill();
  }
}
