// Floods of messages: keys that join and leave, useless runs, invalid frames, silent connections, clients that request everything.

import { Encoder } from 'cbor-x';
import type { WebSocket } from 'ws';
import { EXAMPLE_WORDS } from '../core/testing/example-events.ts';
import { trainingFor } from '../owner/run-settings.ts';
import { fetchStatus } from '../peer/find-run.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { createIdentity } from '../protocol/identity.ts';
import { type Flood, over, pause } from './flood.ts';
import { connected, joined, left, observers, runWith, taken, waitingRun } from './flood-peers.ts';

/** Sends a frame as often as the connection allows. */
const pour = (frame: Uint8Array) => (socket: WebSocket) => {
  for (let i = 0; i < 30 && socket.bufferedAmount < 1 << 20; i++) socket.send(frame);
};
/** A `ping` with so many unknown fields. */
const junk = (fields: number): Uint8Array =>
  new Uint8Array(
    new Encoder({ useRecords: false }).encode({
      ...{ type: 'ping', ...Object.fromEntries(Array.from({ length: fields }, (_, i) => [`k${i}`, 1])) },
    }),
  );

export const FLOODS_OF_WORDS: readonly Flood[] = [
  {
    name: 'fill-runs',
    what: 'runs by one key after the other, each at an address of its own',
    is_public: true,
    prepare: (target) => waitingRun(target, createIdentity()),
    async run(target, signal, first) {
      const [{ params, model }] = (await fetchStatus(target.url)).runs.filter(({ run }) => run === first);
      const { schedule } = trainingFor({
        ...{ rounds: 9, round_seconds: 60, steps: 2, batch: 2, context: 8, learning_rate: 0.01, min_workers: 1 },
      });
      let [keys, made, refused] = [0, 0, 0];
      await over(signal, 4, async () => {
        const owner = createIdentity();
        const address = `198.18.${(keys >> 8) & 255}.${keys++ & 255}`;
        for (let i = 0; i < 8 && !signal.aborted; i++) {
          const what = {
            type: 'run.created',
            version: 3,
            ...EXAMPLE_WORDS,
            name: `spam ${i}`,
            game: 'pretrain',
            created_ms: 0,
          } as const;
          if (await taken(target, owner, { ...what, params, model, ...schedule }, address)) made++;
          else refused++;
        }
      });
      return { made, refused };
    },
  },
  {
    name: 'come-and-go',
    what: 'new keys that join a run and leave, 50 at once',
    prepare: (target) => runWith(target, 0),
    async run(target, signal, run) {
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
    prepare: (target) => runWith(target, 0),
    async run(target, signal, run) {
      let keys = 0;
      await over(signal, 50, async () => {
        if (await taken(target, createIdentity(), joined(run))) keys++;
      });
      return { keys };
    },
  },
  {
    name: 'idle-peers',
    what: '4,000 peers who join and stay, 50 at once; then their run is paused, which they all hear',
    async run(target, signal) {
      const owner = createIdentity();
      const run = await waitingRun(target, owner);
      const told = new Set<string>();
      const sockets = new Set<WebSocket>();
      const enough = new AbortController();
      let [begun, joins] = [0, 0];
      const begun_ms = performance.now();
      await over(AbortSignal.any([signal, enough.signal]), 50, async () => {
        if (++begun >= 4000) enough.abort();
        const key = createIdentity();
        sockets.add(await connected(target, run, key, ({ phase }) => phase === 'paused' && told.add(key.id)));
        if (await taken(target, key, joined(run))) joins++;
      });
      const joined_ms = performance.now();
      await taken(target, owner, { type: 'run.paused', version: 1, run, round: 0, attempt: 0 });
      while (told.size < sockets.size && performance.now() - joined_ms < 60_000) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const heard_ms = performance.now();
      await pause(signal, 3_600_000);
      for (const socket of sockets) socket.terminate();
      return {
        joins,
        'a second': Math.round((1000 * joins) / (joined_ms - begun_ms)),
        'heard the pause': told.size,
        'ms until all had': Math.round(heard_ms - joined_ms),
      };
    },
  },
  {
    name: 'status',
    what: '32 readers of the state of 2,000 peers, over and over',
    prepare: (target) => runWith(target, 2000),
    async run(target, signal) {
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
    prepare: (target) => runWith(target, 1000),
    async run(target, signal, run) {
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
