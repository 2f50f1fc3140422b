// The process of `bench gateway` that holds the devices: each has a key and a socket of its own and serves by the device's own code; its engine is a clock.
import { setTimeout as pause } from 'node:timers/promises';
import { connectToHub } from '../peer/connection.ts';
import { openServing, type ServedModel } from '../peer/serving.ts';
import { webSockets } from '../peer/web-sockets.ts';
import { systemClock } from '../protocol/clock.ts';
import { createIdentity } from '../protocol/identity.ts';
import type { AnswerEvent } from '../serving/answers.ts';
import { WORD } from './stream-readers.ts';

export interface DevicesOrder {
  readonly url: string;
  readonly hub: string;
  readonly run: string;
  readonly model: string;
  readonly devices: number;
  readonly places: number;
  /** Between two tokens. */
  readonly pause_ms: number;
}

const TOGETHER = 50; // that connect at the same moment
const PROMPT_TOKENS = 10;

function clockModel({ model, places, pause_ms }: DevicesOrder): ServedModel {
  const room = { context_tokens: 4096, cache_tokens: places * 4096, places };
  return {
    ...{ hash: model, quantisation: 'f32', engine: 'own', class: 'clock', ...room, chat: true, tools: false },
    async *answer(request, signal): AsyncGenerator<AnswerEvent> {
      yield { kind: 'begun', prompt_tokens: PROMPT_TOKENS };
      for (let i = request.written.length; i < request.max_tokens; i++) {
        await pause(pause_ms, undefined, { signal });
        const position = PROMPT_TOKENS + i;
        yield { kind: 'token', position, id: 1, text: WORD, echoed: false, logprob: null, top: [] };
      }
      yield { kind: 'ended', text: '', reason: 'length', end_id: null, written_tokens: request.max_tokens };
    },
    async judge({ served }) {
      const tally = { draws: served.ids.length, margin: 0, differing: 0, end_margin: 0, impossible: 0 };
      return { flaw: null, prompt_tokens: PROMPT_TOKENS, tally, logprob_distance: null };
    },
  };
}

function openDevice({ url, hub, run }: DevicesOrder, model: ServedModel): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const serving = openServing({
    ...{ identity: createIdentity(), clock: systemClock, price_in: 0, price_out: 0, region: null },
    send: (message) => connection.serve(message),
  });
  serving.serve(model);
  const connection = connectToHub({
    ...{ transport: webSockets(url), hub, run, role: 'worker', identity: createIdentity() },
    onWelcome() {
      serving.welcome();
      resolve();
    },
    onRun() {},
    onServe: (message) => serving.hear(message),
    onAway: () => serving.away(),
    onFatal: reject,
  });
  return promise;
}

async function main(order: DevicesOrder): Promise<void> {
  const model = clockModel(order);
  for (let left = order.devices; left > 0; left -= TOGETHER) {
    await Promise.all(Array.from({ length: Math.min(left, TOGETHER) }, () => openDevice(order, model)));
  }
  process.send!({ connected: order.devices });
}

await main(JSON.parse(process.argv[2]));
