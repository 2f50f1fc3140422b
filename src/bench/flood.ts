// The interface of a flood for `npm run bench floods`, and functions for its sockets. Each flood runs in a thread of its own.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity, type Identity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';

export const MB = 1 << 20;

/** The flooded hub: a process of its own on this machine, with default settings. */
export interface Target {
  readonly url: string;
  readonly hub: string;
  /** The hub is public behind a proxy on this machine: it counts requests under the address that `from` gives. */
  readonly is_public: boolean;
}

/** The message of a flood's thread when everything is prepared. */
export const BEGUN = 'begun';

/** Counts of what a flood did and of the results. */
export type Counts = Record<string, number>;

export interface Flood {
  readonly name: string;
  /** What the strangers do, in a few words. */
  readonly what: string;
  /** Whether the hub must be a public one, for which programs of its own machine are strangers, too. */
  readonly is_public?: boolean;
  /** Prepares the flood; this is not measured. */
  prepare?(target: Target): Promise<string>;
  /** Floods until the signal fires, closes what it has open, and resolves with its counts; their keys are words for the table. */
  run(target: Target, signal: AbortSignal, prepared: string): Promise<Counts>;
}

/** The header that a proxy adds for a client at an address, if the hub is behind a proxy. */
export const from = (target: Target, address: string): Record<string, string> =>
  target.is_public ? { 'x-forwarded-for': address } : {};

/** The headers of an upload that its key has signed. */
export async function uploadHeaders(target: Target, identity: Identity, hash: string): Promise<Record<string, string>> {
  const signature = await identity.sign(uploadChallenge(target.hub, hash));
  return { 'x-potluck-peer': identity.id, 'x-potluck-signature': bytesToHex(signature) };
}

/** Uploads bytes as one request; resolves with the status and the name. */
export async function uploadWhole(target: Target, identity: Identity, bytes: Uint8Array) {
  const hash = sha256Hex(bytes);
  const headers = await uploadHeaders(target, identity, hash);
  const response = await fetch(`${target.url}/blobs/${hash}`, {
    ...{ method: 'PUT', body: bytes as Uint8Array<ArrayBuffer>, headers },
  });
  await response.arrayBuffer();
  return { status: response.status, hash };
}

/** Opens a socket to the hub and sends `text`; an error only closes the socket. */
export function rawSocket(target: Target, text: string, onClose: () => void = () => {}): Socket {
  const { hostname, port } = new URL(target.url);
  const socket = connect(Number(port), hostname, () => socket.write(text));
  socket.on('error', () => {});
  socket.on('close', onClose);
  return socket;
}

/** The beginning of an upload request of `size_bytes` bytes with a random hash. */
export async function beginningOfUpload(target: Target, identity: Identity, size_bytes: number): Promise<string> {
  const hash = bytesToHex(randomBytes(32));
  const lines = Object.entries(await uploadHeaders(target, identity, hash)).map(([name, value]) => `${name}: ${value}`);
  return [`PUT /blobs/${hash} HTTP/1.1`, 'host: localhost', `content-length: ${size_bytes}`, ...lines, '', ''].join(
    '\r\n',
  );
}

/** The beginning of a request for a blob. */
export const beginningOfFetch = (hash: string, ...headers: string[]): string =>
  [`GET /blobs/${hash} HTTP/1.1`, 'host: localhost', ...headers, '', ''].join('\r\n');

/** Calls `step` again and again, `at_once` at a time, until the signal fires; continues after errors. */
export async function over(signal: AbortSignal, at_once: number, step: () => Promise<void>): Promise<void> {
  const one = async (): Promise<void> => {
    while (!signal.aborted) {
      await step().catch(() => pause(signal, 100));
    }
  };
  await Promise.all(Array.from({ length: at_once }, one));
}

/** Resolves after a time, or at once when the signal fires. */
export function pause(signal: AbortSignal, delay_ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, signal.aborted ? 0 : delay_ms);
    signal.addEventListener('abort', done);
  });
}

/** Keeps `count` sockets open that send `beginning`, replaces closed ones, and writes to each every second. */
export async function holdSockets(
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
export async function planted(target: Target, bytes: Uint8Array): Promise<string> {
  const { status, hash } = await uploadWhole(target, createIdentity(), bytes);
  if (status !== 201) throw new Error(`the blob that is to be flooded was not taken: ${status}`);
  return hash;
}

/** Text that compresses to about a third. */
export const textThatPacks = (size_bytes: number): Uint8Array =>
  Buffer.from(Array.from({ length: size_bytes >> 4 }, (_, i) => `line ${i} ${Math.random()}\n`).join('')).subarray(
    0,
    size_bytes,
  );
