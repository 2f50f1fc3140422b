// A peer's blobs: fetched over HTTP, believed only when their hash is right, kept in a cache so that nothing is fetched twice.
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import { sha256Hex } from '../protocol/hash.ts';
import type { Identity } from '../protocol/identity.ts';
import { uploadChallenge, WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from './errors.ts';

const LIMITS = {
  request_ms: 120_000, // a blob that takes longer comes too late for any round
  attempts: 4, // a hub that restarts is back within the waits between them
  first_wait_ms: 250,
  longest_wait_ms: 10_000, // what a hub may ask for; beyond it the round is lost anyway
} as const;

export interface PeerBlobs {
  /** A blob's bytes. Throws PeerError bad-blob, hub-unreachable. */
  fetch(hash: string): Promise<Uint8Array>;
  /** Uploads; resolves when the hub has it on disk. Throws PeerError refused, hub-unreachable. */
  upload(bytes: Uint8Array): Promise<string>;
  /** Ends what is under way: it throws hub-unreachable. */
  close(): void;
}

/** Where a device keeps blobs: a convenience. What comes out is checked, and what cannot be kept is fetched again. */
export interface BlobCache {
  get(hash: string): Promise<Uint8Array | null>;
  put(hash: string, bytes: Uint8Array): Promise<void>;
}

export function openPeerBlobs(options: {
  readonly url: string;
  readonly hub: string;
  readonly identity: Identity;
  readonly cache: BlobCache;
  /** The wait after the first failure; each next one is twice as long. */
  readonly first_wait_ms?: number;
}): PeerBlobs {
  const { url, hub, identity, cache } = options;
  const first_wait_ms = options.first_wait_ms ?? LIMITS.first_wait_ms;
  const pending = new Map<string, Promise<Uint8Array>>();
  const closing = new AbortController();
  const request = (hash: string, init: RequestInit): Promise<Answer> =>
    persist(first_wait_ms, closing.signal, () => ask(`${url}/blobs/${hash}`, init, closing.signal));

  const fromCache = async (hash: string): Promise<Uint8Array | null> => {
    const bytes = await cache.get(hash).catch(() => null);
    return bytes && sha256Hex(bytes) === hash ? bytes : null; // what is damaged is fetched again
  };

  const load = async (hash: string): Promise<Uint8Array> => {
    const kept = await fromCache(hash);
    if (kept) return kept;
    const { status, bytes } = await request(hash, { headers: { 'x-potluck-peer': identity.id } });
    if (status !== 200) {
      throw new PeerError('bad-blob', `expected blob ${hash}, the hub answered ${status}`, { hash, status });
    }
    const found = sha256Hex(bytes);
    if (found !== hash) {
      throw new PeerError('bad-blob', `expected bytes whose SHA-256 is ${hash}, got ${found}`, { hash, found });
    }
    // A full disk must not cost the round.
    await cache.put(hash, bytes).catch(() => {});
    return bytes;
  };

  return {
    fetch(hash) {
      let load_ = pending.get(hash);
      if (!load_) {
        load_ = load(hash).finally(() => pending.delete(hash));
        pending.set(hash, load_);
      }
      return load_;
    },
    async upload(bytes) {
      const hash = sha256Hex(bytes);
      const signature = bytesToHex(await identity.sign(uploadChallenge(hub, hash)));
      const answer = await request(hash, {
        method: 'PUT',
        body: bytes as Uint8Array<ArrayBuffer>,
        headers: { 'x-potluck-peer': identity.id, 'x-potluck-signature': signature },
      });
      if (answer.status !== 201) {
        const text = new TextDecoder().decode(answer.bytes.subarray(0, 500));
        throw new PeerError('refused', `the hub refused an upload of ${bytes.length} bytes: ${text}`);
      }
      return hash;
    },
    close: () => closing.abort(),
  };
}

interface Answer {
  readonly status: number;
  /** What a hub asks for that is asked too fast; null where it does not. */
  readonly retry_after_ms: number | null;
  readonly bytes: Uint8Array;
}

/** One request with its whole answer: a hub that dies in the middle of a body is a request that failed. */
async function ask(url: string, init: RequestInit, closing: AbortSignal): Promise<Answer> {
  const signal = AbortSignal.any([closing, AbortSignal.timeout(LIMITS.request_ms)]);
  const response = await fetch(url, { ...init, signal });
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  const retry_after_ms = seconds >= 0 ? Math.min(seconds * 1000, LIMITS.longest_wait_ms) : null;
  return { status: response.status, retry_after_ms, bytes: await readBody(response, WIRE_LIMITS.blob_bytes) };
}

/** A body of at most `max_bytes`: a hostile hub must not fill this device's memory. Throws PeerError bad-blob. */
export async function readBody(response: Response, max_bytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size_bytes = Number(response.headers.get('content-length') ?? 0) > max_bytes ? max_bytes + 1 : 0;
  if (size_bytes === 0) {
    const reader = response.body?.getReader(); // a reader, because not every browser can iterate over a stream
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      size_bytes += part.value.length;
      if (size_bytes > max_bytes) break;
      parts.push(part.value);
    }
    reader?.releaseLock();
  }
  if (size_bytes <= max_bytes) return concatBytes(...parts);
  await response.body?.cancel().catch(() => {});
  throw new PeerError('bad-blob', `${new URL(response.url).pathname}: expected at most ${max_bytes} bytes, more came`, {
    max_bytes,
  });
}

/** Tries a request again while the hub cannot be reached. Throws PeerError hub-unreachable, and what is no matter of reaching. */
async function persist(first_wait_ms: number, closing: AbortSignal, request: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    let wait_ms = first_wait_ms * 2 ** attempt;
    try {
      const answer = await request();
      const tooFast = answer.status === 429 && answer.retry_after_ms !== null;
      if ((answer.status < 500 && !tooFast) || attempt === LIMITS.attempts) return answer;
      if (tooFast) wait_ms = Math.max(wait_ms, answer.retry_after_ms!);
    } catch (error) {
      if (error instanceof PeerError) throw error;
      if (attempt === LIMITS.attempts || closing.aborted) {
        throw new PeerError('hub-unreachable', `the hub did not answer ${attempt} times: ${reasonOf(error)}`);
      }
    }
    await waitUnless(closing, wait_ms);
  }
}

/** fetch hides why it failed in `cause`. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}

/** Resolves after a time, at once when the signal fires. */
function waitUnless(signal: AbortSignal, delay_ms: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delay_ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
