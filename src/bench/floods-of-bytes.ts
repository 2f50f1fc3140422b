// Floods of bytes: slow or useless uploads, clients that do not read or disconnect, sockets that send nothing.
import { randomBytes } from 'node:crypto';
import { bytesToHex } from '@noble/hashes/utils.js';
import { createIdentity } from '../protocol/identity.ts';
import {
  beginningOfFetch,
  beginningOfUpload,
  type Flood,
  holdSockets,
  MB,
  over,
  pause,
  planted,
  rawSocket,
  textThatPacks,
  uploadHeaders,
  uploadWhole,
} from './flood.ts';

/** Each key signs only once, so that the flood is not slowed by its own signatures. */
const slowUploads = (count: number): Flood['run'] => {
  return (target, signal) => {
    const signed: Promise<string>[] = [];
    let next = 0;
    return holdSockets({ target, signal, count, every_second: 'x' }, () => {
      const at = next++ % count;
      signed[at] ??= beginningOfUpload(target, createIdentity(), 1 << 30);
      return signed[at];
    });
  };
};

export const FLOODS_OF_BYTES: readonly Flood[] = [
  {
    name: 'slow-uploads',
    what: 'two uploads of 1 GiB announced, a byte a second',
    run: slowUploads(2),
  },
  {
    name: 'many-slow-uploads',
    what: '1,000 such uploads by as many keys',
    run: slowUploads(1000),
  },
  {
    name: 'hoard',
    what: '8 MiB that nothing names, a new key each time, four at once',
    async run(target, signal) {
      let [taken, refused] = [0, 0];
      await over(signal, 4, async () => {
        const { status } = await uploadWhole(target, createIdentity(), randomBytes(8 * MB));
        if (status === 201) taken++;
        else refused++;
        if (status !== 201) await pause(signal, 50);
      });
      return { 'MiB taken': taken * 8, refused };
    },
  },
  {
    name: 'large-upload',
    what: 'uploads of 500 MB, one after the other',
    async run(target, signal) {
      let taken = 0;
      await over(signal, 1, async () => {
        const bytes = new Uint8Array(500e6);
        bytes.set(randomBytes(32));
        if ((await uploadWhole(target, createIdentity(), bytes)).status === 201) taken++;
        else await pause(signal, 1000);
      });
      return { taken };
    },
  },
  {
    name: 'unfinished-uploads',
    what: 'first parts of 64 kB of uploads that never go on, a new key each time, 16 at once',
    async run(target, signal) {
      const bytes = new Uint8Array(64 << 10);
      let taken = 0;
      await over(signal, 16, async () => {
        const hash = bytesToHex(randomBytes(32));
        const headers = {
          ...(await uploadHeaders(target, createIdentity(), hash)),
          'content-range': `bytes 0-${bytes.length - 1}/${MB}`,
        };
        const response = await fetch(`${target.url}/blobs/${hash}`, { method: 'PUT', body: bytes, headers });
        await response.arrayBuffer();
        if (response.status === 202) taken++;
      });
      return { taken };
    },
  },
  {
    name: 'aborted-uploads',
    what: 'uploads of 16 MiB that break off at their last byte, four at once',
    async run(target, signal) {
      const bytes = new Uint8Array(16 * MB - 1);
      let aborted = 0;
      await over(signal, 4, async () => {
        const beginning = await beginningOfUpload(target, createIdentity(), bytes.length + 1);
        await new Promise<void>((resolve) => {
          const socket = rawSocket(target, beginning, resolve);
          socket.resume();
          socket.write(bytes, () => {
            socket.destroy();
            aborted++;
          });
          signal.addEventListener('abort', () => socket.destroy(), { once: true });
        });
      });
      return { aborted };
    },
  },
  {
    name: 'unsized-uploads',
    what: '32 uploads that name no length and go on for ever',
    async run(target, signal) {
      const chunk = `10000\r\n${'x'.repeat(65_536)}\r\n`;
      let [begun, sent] = [0, 0];
      await over(signal, 32, async () => {
        const hash = bytesToHex(randomBytes(32));
        const signed = Object.entries(await uploadHeaders(target, createIdentity(), hash));
        const lines = signed.map(([name, value]) => `${name}: ${value}\r\n`).join('');
        const start = `PUT /blobs/${hash} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n${lines}\r\n`;
        begun++;
        await new Promise<void>((resolve) => {
          const socket = rawSocket(target, start, resolve);
          socket.resume();
          const more = (error?: Error | null): void => {
            if (error || signal.aborted) socket.destroy();
            else if (++sent) socket.write(chunk, more);
          };
          more();
        });
      });
      return { begun, 'MiB sent': sent >> 4 };
    },
  },
  {
    name: 'deaf-readers',
    what: '64 readers of a 64 MiB blob who do not read',
    prepare: (target) => planted(target, randomBytes(64 * MB)),
    async run(target, signal, hash) {
      return { ...(await holdSockets({ target, signal, count: 64, deaf: true }, async () => beginningOfFetch(hash))) };
    },
  },
  {
    name: 'abort-gets',
    what: '50 readers a second of a 200 MiB blob who are gone at once',
    prepare: (target) => planted(target, randomBytes(200 * MB)),
    async run(target, signal, hash) {
      let asked = 0;
      while (!signal.aborted) {
        const socket = rawSocket(target, beginningOfFetch(hash));
        await pause(signal, 20);
        socket.destroy();
        asked++;
      }
      return { asked };
    },
  },
  {
    name: 'gzip',
    what: '64 readers of one 1 MiB text, packed, over and over',
    prepare: (target) => planted(target, textThatPacks(MB)),
    async run(target, signal, hash) {
      let asked = 0;
      await over(signal, 64, async () => {
        const response = await fetch(`${target.url}/blobs/${hash}`, { headers: { 'accept-encoding': 'gzip' }, signal });
        for await (const _ of response.body ?? []);
        asked++;
      });
      return { asked };
    },
  },
  {
    name: 'half-open',
    what: '4,000 sockets that say nothing',
    async run(target, signal) {
      return { ...(await holdSockets({ target, signal, count: 4000 }, async () => '')) };
    },
  },
];
