// Floods of bytes: uploads that trickle or are never wanted, readers that do not read, readers that are gone, sockets that say nothing.
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { createIdentity } from '../protocol/identity.ts';
import {
  beginningOfFetch,
  beginningOfUpload,
  type Flood,
  over,
  pause,
  rawSocket,
  type Target,
  uploadWhole,
} from './flood.ts';

const MB = 1 << 20;

/** Keeps `count` sockets open that begin as `beginning` says, one more for each that is closed, and writes to each every second. */
async function holdSockets(
  { target, signal, count, every_second = null, deaf = false }: HoldOptions,
  beginning: () => Promise<string>,
): Promise<{ opened: number; closed: number }> {
  const open = new Set<Socket>();
  let [opened, closed] = [0, 0];
  while (!signal.aborted) {
    for (let missing = count - open.size; missing > 0 && !signal.aborted; missing--) {
      const socket = rawSocket(target, await beginning(), () => {
        if (!signal.aborted) closed++;
        open.delete(socket);
      });
      if (deaf) socket.pause();
      else socket.resume();
      open.add(socket);
      if (++opened % 200 === 0) await pause(signal, 20);
    }
    await pause(signal, 1000);
    if (every_second !== null) for (const socket of open) socket.write(every_second);
  }
  for (const socket of open) socket.destroy();
  return { opened, closed };
}

interface HoldOptions {
  readonly target: Target;
  readonly signal: AbortSignal;
  readonly count: number;
  readonly every_second?: string | null;
  /** They do not read. */
  readonly deaf?: boolean;
}

/** A blob of random bytes on the hub. */
async function planted(target: Target, bytes: Uint8Array): Promise<string> {
  const { status, hash } = await uploadWhole(target, createIdentity(), bytes);
  if (status !== 201) throw new Error(`the blob that is to be flooded was not taken: ${status}`);
  return hash;
}

/** Text that packs to a third or so. */
const lines = (size_bytes: number): Uint8Array =>
  Buffer.from(Array.from({ length: size_bytes >> 4 }, (_, i) => `line ${i} ${Math.random()}\n`).join('')).subarray(
    0,
    size_bytes,
  );

/** Each key signs once: what a stranger has to compute is not what a hub should fear. */
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
    name: 'deaf-readers',
    what: '64 readers of a 64 MiB blob who do not read',
    async run(target, signal) {
      const hash = await planted(target, randomBytes(64 * MB));
      return { ...(await holdSockets({ target, signal, count: 64, deaf: true }, async () => beginningOfFetch(hash))) };
    },
  },
  {
    name: 'abort-gets',
    what: '50 readers a second of a 200 MiB blob who are gone at once',
    async run(target, signal) {
      const hash = await planted(target, randomBytes(200 * MB));
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
    async run(target, signal) {
      const hash = await planted(target, lines(MB));
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
