// Floods of requests: events that the hub refuses, cosignatures of unknown keys, expensive reads, clients that do not read.
import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import { WebSocket } from 'ws';
import { cosignCheckpoint } from '../ledger/checkpoint.ts';
import { witnessName } from '../ledger/key-names.ts';
import { encodeMessage } from '../protocol/encode-message.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { type Flood, holdSockets, MB, over, pause, planted, type Target, textThatPacks } from './flood.ts';
import { joined, observers, runWith, taken, waitingRun } from './flood-peers.ts';

/** A correctly signed event of a run that the hub does not have; the hub refuses it each time. */
const refusedEvent = (): Promise<Uint8Array> => signEvent(createIdentity(), joined(bytesToHex(randomBytes(32))));

/** Sends `count` requests at once and reads the answers; `ask` gives the next request. */
async function readers(target: Target, signal: AbortSignal, count: number, ask: () => [path: string, RequestInit?]) {
  let asked = 0;
  await over(signal, count, async () => {
    const [path, init] = ask();
    const response = await fetch(`${target.url}${path}`, { ...init, signal });
    for await (const _ of response.body ?? []);
    asked++;
  });
  return { asked };
}

const WITNESSES = 60; // a note takes 64 signatures

export const FLOODS_OF_QUESTIONS: readonly Flood[] = [
  {
    name: 'refused-events',
    what: '50 observers who send an event that is refused, 50 in flight each',
    async run(target, signal) {
      const frame = encodeMessage({ type: 'event', event: await refusedEvent() });
      const waiting = new Map<WebSocket, number>();
      let refused = 0;
      const { opened } = await observers(
        { target, signal, count: 50 },
        true,
        (socket) => {
          if (!waiting.has(socket)) {
            waiting.set(socket, 0);
            socket.on('message', (data: Buffer) => {
              // Each answer makes room for one more.
              if (!data.includes('refused')) return;
              refused++;
              if (socket.readyState === WebSocket.OPEN) socket.send(frame);
            });
          }
          for (let sent = waiting.get(socket)!; sent < 50; sent++) {
            socket.send(frame);
            waiting.set(socket, sent + 1);
          }
        },
        50,
      );
      return { refused, opened };
    },
  },
  {
    name: 'refused-posts',
    what: '64 who post an event that is refused',
    async run(target, signal) {
      const body = (await refusedEvent()) as Uint8Array<ArrayBuffer>;
      return readers(target, signal, 64, () => ['/events', { method: 'POST', body }]);
    },
  },
  {
    name: 'cosignatures',
    what: `16 who post a head with ${WITNESSES} cosignatures of new keys`,
    async prepare(target) {
      await waitingRun(target, createIdentity());
      let note = await (await fetch(`${target.url}/log/checkpoint`)).text();
      for (let i = 0; i < WITNESSES; i++) {
        const witness = createIdentity();
        note = await cosignCheckpoint(witness, witnessName(witness.id), note, 1_000_000_000);
      }
      return note;
    },
    async run(target, signal, note) {
      return readers(target, signal, 16, () => ['/log/cosignature', { method: 'POST', body: note }]);
    },
  },
  {
    name: 'observers-come-and-go',
    what: 'observers who take the state of 2,000 peers and are gone, 32 at once',
    prepare: (target) => runWith(target, 2000),
    async run(target, signal) {
      let seen = 0;
      await over(signal, 32, async () => {
        await new Promise<void>((resolve) => {
          const socket = new WebSocket(`${target.url.replace('http', 'ws')}/ws`, { perMessageDeflate: false });
          let messages = 0;
          socket.on('message', () => {
            if (messages++ === 0) {
              socket.send(
                encodeMessage({ type: 'hello', protocol: PROTOCOL_VERSION, role: 'observer', changes: true }),
              );
            }
            if (messages === 3) {
              seen++;
              socket.terminate();
            }
          });
          socket.on('error', () => {});
          socket.on('close', () => resolve());
          signal.addEventListener('abort', () => socket.terminate(), { once: true });
        });
      });
      return { seen };
    },
  },
  {
    name: 'log',
    what: '64 readers of the log: bundles of every width, packed, and proofs',
    prepare: (target) => runWith(target, 1000),
    async run(target, signal) {
      let at = 0;
      return readers(target, signal, 64, () => {
        const n = at++;
        if (n % 4 === 0) return [`/log/proof/${n % 1000}`];
        const index = String(n % 3).padStart(3, '0');
        const headers = { 'accept-encoding': n % 2 === 0 ? 'br' : 'gzip' };
        return [`/log/tile/entries/${index}.p/${1 + (n % 255)}`, { headers }];
      });
    },
  },
  {
    name: 'packings',
    what: '64 readers of 200 texts of 1 MiB, packed in two ways',
    async prepare(target) {
      const hashes: string[] = [];
      for (let i = 0; i < 200; i++) hashes.push(await planted(target, textThatPacks(MB)));
      return hashes.join(' ');
    },
    async run(target, signal, hashes) {
      const texts = hashes.split(' ');
      let at = 0;
      return readers(target, signal, 64, () => {
        const n = at++;
        const headers = { 'accept-encoding': n % 2 === 0 ? 'br' : 'gzip' };
        return [`/blobs/${texts[(n >> 1) % texts.length]}`, { headers }];
      });
    },
  },
  {
    name: 'parts',
    what: '64 readers of parts of a 200 MiB blob, and of its size',
    prepare: (target) => planted(target, randomBytes(200 * MB)),
    async run(target, signal, hash) {
      let at = 0;
      return readers(target, signal, 64, () => {
        const n = at++;
        if (n % 2 === 0) return [`/blobs/${hash}`, { method: 'HEAD' }];
        const from = (n * 7919 * 4096) % (199 * MB);
        return [`/blobs/${hash}`, { headers: { range: `bytes=${from}-${from + 100_000}` } }];
      });
    },
  },
  {
    name: 'deaf-states',
    what: '1,000 who ask for the state of 2,000 peers and do not read, while keys come and go',
    prepare: (target) => runWith(target, 2000),
    async run(target, signal, run) {
      const going = over(signal, 1, async () => {
        await taken(target, createIdentity(), joined(run));
        await pause(signal, 100);
      });
      const ask = 'GET /status HTTP/1.1\r\nhost: localhost\r\n\r\n';
      const counts = await holdSockets({ target, signal, count: 1000, deaf: true }, async () => ask);
      await going;
      return counts;
    },
  },
];
