// Floods of words: keys that join and go, runs that nobody wants, frames of junk, connections that say nothing, readers who ask for everything.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Encoder } from 'cbor-x';
import { WebSocket } from 'ws';
import type { EventBody } from '../core/events.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { fetchStatus } from '../peer/find-run.ts';
import { createRun } from '../peer/owner.ts';
import { trainingFor } from '../peer/run-settings.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { encodeMessage, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { type Flood, over, pause, type Target } from './flood.ts';

const MANY_WORKERS = 1000;

/** A run that waits for more workers than will ever come. */
async function waitingRun(target: Target, owner: Identity): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-floods-'));
  const essentials = { rounds: 9, round_seconds: 60, steps: 2, batch: 2, context: 8, learning_rate: 0.01 };
  try {
    return await createRun(target.url, owner, folder, {
      ...{ name: 'flooded', texts: ['All work and no play makes Jack a dull boy. '.repeat(40)], seed: 'flood' },
      tokenizer: byteTokenizer(),
      model: {
        ...{ hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
        max_position_embeddings: 16,
      },
      ...trainingFor({ ...essentials, min_workers: MANY_WORKERS }),
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Sends an event over HTTP; whether it was taken. */
async function taken(target: Target, author: Identity, body: EventBody): Promise<boolean> {
  const event = (await signEvent(author, body)) as Uint8Array<ArrayBuffer>;
  const response = await fetch(`${target.url}/events`, { method: 'POST', body: event });
  await response.arrayBuffer();
  return response.status === 201;
}

const joined = (run: string): EventBody => ({
  ...{ type: 'peer.joined', version: 1, run, session: 0, role: 'worker', name: 'x', runtime: 'flood' },
});
const left = (run: string, peer: string): EventBody => ({
  ...{ type: 'peer.left', version: 1, run, peer, session: 0, reason: 'goodbye' },
});

/** That many new keys join over HTTP. */
async function joinMany(target: Target, run: string, count: number, signal: AbortSignal): Promise<void> {
  let asked = 0;
  const enough = new AbortController();
  await over(AbortSignal.any([signal, enough.signal]), 50, async () => {
    if (++asked >= count) enough.abort();
    await taken(target, createIdentity(), joined(run));
  });
}

/** Keeps observers connected, one more for each that is closed, and lets each do `act` every `every_ms`. */
async function observers(
  { target, signal, count }: { readonly target: Target; readonly signal: AbortSignal; readonly count: number },
  hello: boolean,
  act: (socket: WebSocket) => void,
  every_ms: number,
): Promise<{ opened: number; 'closed by the hub': number }> {
  const open = new Set<WebSocket>();
  let [opened, closed] = [0, 0];
  const connect = (): void => {
    const socket = new WebSocket(`${target.url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
    open.add(socket);
    opened++;
    const say = encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true });
    socket.on('open', () => hello && socket.send(say));
    socket.on('error', () => {});
    socket.on('close', () => {
      open.delete(socket);
      if (!signal.aborted) closed++;
    });
  };
  while (!signal.aborted) {
    for (let missing = Math.min(50, count - open.size); missing > 0; missing--) connect();
    for (const socket of open) if (socket.readyState === WebSocket.OPEN) act(socket);
    await pause(signal, every_ms);
  }
  for (const socket of open) socket.terminate();
  return { opened, 'closed by the hub': closed };
}

/** Sends a frame as often as the line takes it. */
const pour = (frame: Uint8Array) => (socket: WebSocket) => {
  for (let i = 0; i < 30 && socket.bufferedAmount < 1 << 20; i++) socket.send(frame);
};
/** A `ping` with as many fields that nobody knows as fit. */
const junk = (fields: number): Uint8Array =>
  new Uint8Array(
    new Encoder({ useRecords: false }).encode({
      ...{ type: 'ping', ...Object.fromEntries(Array.from({ length: fields }, (_, i) => [`k${i}`, 1])) },
    }),
  );

export const FLOODS_OF_WORDS: readonly Flood[] = [
  {
    name: 'fill-runs',
    what: 'runs by one key after the other',
    async run(target, signal) {
      const first = await waitingRun(target, createIdentity());
      const [{ params, model }] = (await fetchStatus(target.url)).runs.filter(({ run }) => run === first);
      const { schedule } = trainingFor({
        ...{ rounds: 9, round_seconds: 60, steps: 2, batch: 2, context: 8, learning_rate: 0.01, min_workers: 1 },
      });
      let [made, refused] = [0, 0];
      await over(signal, 4, async () => {
        const owner = createIdentity();
        for (let i = 0; i < 8 && !signal.aborted; i++) {
          const what = { type: 'run.created', version: 1, name: `spam ${i}`, game: 'pretrain', created_ms: 0 } as const;
          if (await taken(target, owner, { ...what, params, model, ...schedule })) made++;
          else refused++;
        }
      });
      return { made, refused };
    },
  },
  {
    name: 'come-and-go',
    what: 'new keys that join a run and leave, 50 at once',
    async run(target, signal) {
      const run = await waitingRun(target, createIdentity());
      let keys = 0;
      await over(signal, 50, async () => {
        const key = createIdentity();
        if (!(await taken(target, key, joined(run)))) return;
        if (await taken(target, key, left(run, key.id))) keys++;
      });
      const newcomer = createIdentity();
      return { keys, 'next newcomer taken': Number(await taken(target, newcomer, joined(run))) };
    },
  },
  {
    name: 'ghosts',
    what: 'new keys that join a run and never connect, 50 at once',
    async run(target, signal) {
      const run = await waitingRun(target, createIdentity());
      let keys = 0;
      await over(signal, 50, async () => {
        if (await taken(target, createIdentity(), joined(run))) keys++;
      });
      return { keys };
    },
  },
  {
    name: 'status',
    what: '32 readers of the state of 2,000 peers, over and over',
    async run(target, signal) {
      await joinMany(target, await waitingRun(target, createIdentity()), 2000, signal);
      let asked = 0;
      await over(signal, 32, async () => {
        const response = await fetch(`${target.url}/status`, { headers: { 'accept-encoding': 'gzip' }, signal });
        for await (const _ of response.body ?? []);
        asked++;
      });
      return { asked };
    },
  },
  {
    name: 'junk-frames',
    what: '50 observers that pour frames of 6,000 unknown fields',
    run: (target, signal) => observers({ target, signal, count: 50 }, true, pour(junk(6000)), 20),
  },
  {
    name: 'large-frames',
    what: '4 observers that pour frames of 0.7 MB',
    run: (target, signal) => observers({ target, signal, count: 4 }, true, pour(junk(90_000)), 20),
  },
  {
    name: 'pings',
    what: '50 observers that pour pings',
    run: (target, signal) => observers({ target, signal, count: 50 }, true, pour(encodeMessage({ type: 'ping' })), 10),
  },
  {
    name: 'no-hello',
    what: '3,000 WebSockets that say nothing',
    run: (target, signal) => observers({ target, signal, count: 3000 }, false, () => {}, 50),
  },
  {
    name: 'deaf-observers',
    what: '100 observers of 1,000 peers who do not read, while keys come and go',
    async run(target, signal) {
      const run = await waitingRun(target, createIdentity());
      await joinMany(target, run, 1000, signal);
      const going = over(signal, 1, async () => {
        const key = createIdentity();
        await taken(target, key, joined(run));
        await pause(signal, 100);
      });
      const counts = await observers({ target, signal, count: 100 }, true, (socket) => socket.pause(), 50);
      await going;
      return counts;
    },
  },
];
