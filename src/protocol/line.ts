// HTTP requests to a hub that may be slow, fall silent or break off: bytes received are kept, and the rest is requested (RFC 9110, section 14).
import { concatBytes } from '@noble/hashes/utils.js';
import { PeerError } from './peer-errors.ts';

export const LINE_LIMITS = {
  silence_ms: 30_000, // a request without a byte for this long is dead; the whole body has no time limit
  attempts: 4, // in a row without a new byte; a hub that restarts is back within the waits between them
  first_wait_ms: 250,
  longest_wait_ms: 10_000, // also bounds the wait that a hub asks for
  refusal_bytes: 1 << 16, // how much of an unsuccessful answer is read
} as const;

/** A proxy answers so when its hub does not answer, and a hub when it is overloaded: both say nothing about the request itself. */
const AWAY = [502, 503, 504];

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly bytes: Uint8Array;
  /** The bytes were put together from several answers. */
  readonly joined: boolean;
  /** It came from another address than the one that was asked. */
  readonly redirected: boolean;
}

/** Why an attempt failed; `silent` when no byte came for too long. */
export interface Trouble {
  readonly reason: string;
  readonly silent: boolean;
  /** How many attempts in a row brought nothing new. */
  readonly failures: number;
}

export interface Asking {
  /** Asked for each attempt, where it may change. */
  readonly url: string | (() => string);
  /** Called for each attempt. */
  readonly init?: () => RequestInit;
  readonly max_bytes: number;
  /** The bytes at the address never change, so a broken download can be resumed. */
  readonly immutable?: boolean;
  readonly onBytes?: (done_bytes: number, total_bytes: number | null) => void;
  readonly onTrouble?: (trouble: Trouble) => void;
}

export interface Line {
  /** The whole answer. Throws PeerError `hub-unreachable`, and `bad-blob` for an answer that is too long. */
  ask(asking: Asking): Promise<Answer>;
  /** The caller knows that the hub is back: requests that hang or wait are tried again at once. */
  renew(): void;
  /** Ends all requests under way. */
  close(): void;
}

export interface LineOptions {
  readonly first_wait_ms?: number;
  readonly silence_ms?: number;
  readonly attempts?: number;
}

/** What has been received of one body, over all attempts. */
interface Received {
  parts: Uint8Array[];
  size_bytes: number;
  total_bytes: number | null;
  joined: boolean;
}

const addressOf = ({ url }: Asking): string => (typeof url === 'string' ? url : url());

const nothing = (): Received => ({ parts: [], size_bytes: 0, total_bytes: null, joined: false });

export function openLine(options: LineOptions = {}): Line {
  const { first_wait_ms, silence_ms, attempts } = { ...LINE_LIMITS, ...options };
  const closing = new AbortController();
  const watches = new Set<Watch>();
  let renewing = new AbortController();

  /** One request with its whole answer: if the hub dies in the middle of a body, the request has failed. */
  const attempt = async (asking: Asking, came: Received): Promise<{ answer: Answer; wait_ms: number | null }> => {
    const watch = watchFor(silence_ms, closing.signal);
    watches.add(watch);
    try {
      const init = asking.init?.() ?? {};
      const headers = new Headers(init.headers);
      if (came.size_bytes > 0) headers.set('range', `bytes=${came.size_bytes}-`);
      const response = await fetch(addressOf(asking), { ...init, headers, signal: watch.signal });
      watch.heard();
      const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
      const wait_ms = seconds >= 0 ? Math.min(seconds * 1000, LINE_LIMITS.longest_wait_ms) : null;
      const into = response.ok ? came : nothing();
      if (response.ok) beginBody(response, came);
      await readInto(into, response, response.ok ? asking : { max_bytes: LINE_LIMITS.refusal_bytes }, watch.heard);
      const { status, redirected } = response;
      const type = response.headers.get('content-type') ?? '';
      return { answer: { status, type, bytes: concatBytes(...into.parts), joined: came.joined, redirected }, wait_ms };
    } catch (error) {
      throw watch.verdict() ?? error;
    } finally {
      watch.end();
      watches.delete(watch);
    }
  };

  const ask = async (asking: Asking): Promise<Answer> => {
    let came = nothing();
    for (let failures = 1; ; failures++) {
      const before_bytes = came.size_bytes;
      let wait_ms = Math.min(LINE_LIMITS.longest_wait_ms, first_wait_ms * 2 ** failures);
      let reason: string;
      try {
        const { answer, wait_ms: asked_ms } = await attempt(asking, came);
        const { status } = answer;
        const later = AWAY.includes(status) || (status === 429 && asked_ms !== null);
        const rangeRefused = status === 416 && came.size_bytes > 0;
        const again = later || rangeRefused || status >= 500;
        if (!again || failures >= (later ? attempts : Math.min(attempts, LINE_LIMITS.attempts))) return answer;
        if (rangeRefused) came = nothing();
        wait_ms = Math.max(wait_ms, asked_ms ?? 0);
        reason = `the answer was ${status}`;
        asking.onTrouble?.({ reason, silent: false, failures });
      } catch (error) {
        if (error instanceof PeerError) throw error;
        if (closing.signal.aborted) throw new PeerError('hub-unreachable', 'this device has stopped asking the hub');
        if (error instanceof Renewed) wait_ms = 0;
        reason = reasonOf(error);
        const newBytes = came.size_bytes > before_bytes && (before_bytes === 0 || came.joined);
        if (newBytes || error instanceof Renewed) failures = 0;
        asking.onTrouble?.({ reason, silent: error instanceof Silence, failures });
        if (failures >= attempts) throw unreachable(addressOf(asking), failures, reason, came);
        if (!asking.immutable) came = nothing();
      }
      await waitUnless([closing.signal, renewing.signal], wait_ms);
    }
  };

  return {
    ask,
    renew() {
      for (const watch of watches) watch.renew();
      renewing.abort();
      renewing = new AbortController();
    },
    close: () => closing.abort(),
  };
}

function unreachable(url: string, attempts: number, reason: string, came: Received): PeerError {
  const message =
    came.size_bytes === 0
      ? `the hub did not answer ${attempts} times: ${reason}`
      : `${new URL(url).pathname} broke off ${attempts} times in the same place, after ${megabytes(came.size_bytes, came.total_bytes)}: ${reason}`;
  return new PeerError('hub-unreachable', message, { reason });
}

/** 1234567 of 3300000 → "1.2 of 3.3 MB". */
export function megabytes(done_bytes: number, total_bytes: number | null): string {
  const most = total_bytes ?? done_bytes;
  const [unit, name, digits] = most >= 1e5 ? [1e6, 'MB', 1] : most >= 1000 ? [1000, 'kB', 1] : [1, 'B', 0];
  const shown = (bytes: number): string => (bytes / unit).toFixed(digits);
  return `${total_bytes === null ? '' : `${shown(done_bytes)} of `}${shown(most)} ${name}`;
}

/** Prepares for the body of one answer: appends to what was received, or begins anew where the server supports no ranges. */
function beginBody(response: Response, came: Received): void {
  const { headers, status } = response;
  const range =
    status === 206 ? /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(headers.get('content-range') ?? '') : null;
  if (range && Number(range[1]) === came.size_bytes) {
    came.joined ||= came.size_bytes > 0;
    came.total_bytes = Number(range[2]);
    return;
  }
  Object.assign(came, nothing());
  if (status === 206) throw new TypeError('the answer begins at another byte than it was asked for');
  // Content-Length of a compressed body does not tell the size of its content.
  const length = headers.get('content-encoding') ? '' : (headers.get('content-length') ?? '');
  came.total_bytes = /^\d{1,15}$/.test(length) ? Number(length) : null;
}

/** Reads a body of at most `max_bytes`, so that a hostile hub cannot fill this device's memory. Throws PeerError `bad-blob`. */
async function readInto(
  into: Received,
  response: Response,
  { max_bytes, onBytes }: Pick<Asking, 'max_bytes' | 'onBytes'>,
  heard: () => void,
): Promise<void> {
  const announced_bytes = into.total_bytes ?? Number(response.headers.get('content-length') ?? 0);
  let fits = announced_bytes <= max_bytes || !response.ok;
  const reader = fits ? response.body?.getReader() : undefined; // not every browser can iterate over a stream
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
    heard();
    fits = into.size_bytes + part.value.length <= max_bytes;
    if (!fits) break;
    into.parts.push(part.value);
    into.size_bytes += part.value.length;
    onBytes?.(into.size_bytes, into.total_bytes);
  }
  reader?.releaseLock();
  if (fits) {
    if (into.total_bytes === null || into.size_bytes === into.total_bytes) return;
    throw new TypeError(`the answer ended after ${into.size_bytes} of ${into.total_bytes} bytes`);
  }
  await response.body?.cancel().catch(() => {}); // it may have broken off already
  if (!response.ok) return; // the start of a refusal is enough
  throw new PeerError('bad-blob', `${new URL(response.url).pathname}: expected at most ${max_bytes} bytes, more came`, {
    max_bytes,
  });
}

class Silence extends Error {}
class Renewed extends Error {}

interface Watch {
  readonly signal: AbortSignal;
  heard(): void;
  renew(): void;
  /** Why the request was aborted, if it was. */
  verdict(): Error | null;
  end(): void;
}

/** When requests are renewed, one that was silent for less than this part of the limit (two seconds) is left alone. */
const HANGS_PART = 1 / 15;

/** Aborts a request that receives nothing for too long. */
function watchFor(silence_ms: number, closing: AbortSignal): Watch {
  const ending = new AbortController();
  let heard_ms = performance.now();
  let why: Error | null = null;
  let timer: ReturnType<typeof setTimeout>;
  const end = (error: Error): void => {
    why ??= error;
    ending.abort();
  };
  const look = (): void => {
    const left_ms = heard_ms + silence_ms - performance.now();
    if (left_ms > 0) timer = setTimeout(look, left_ms);
    else end(new Silence(`no byte came for ${silence_ms / 1000} s`));
  };
  timer = setTimeout(look, silence_ms);
  return {
    signal: AbortSignal.any([closing, ending.signal]),
    heard() {
      heard_ms = performance.now();
    },
    renew() {
      if (performance.now() - heard_ms > silence_ms * HANGS_PART) end(new Renewed('the connection was made anew'));
    },
    verdict: () => why,
    end: () => clearTimeout(timer),
  };
}

/** fetch puts the reason of a failure into `cause`. */
export function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return String(cause);
  return cause.message || ('code' in cause ? String(cause.code) : cause.name);
}

/** Resolves after a time, or at once when one of the signals fires. */
function waitUnless(signals: readonly AbortSignal[], delay_ms: number): Promise<void> {
  return new Promise((resolve) => {
    const any = AbortSignal.any([...signals]);
    const done = (): void => {
      clearTimeout(timer);
      any.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delay_ms);
    any.addEventListener('abort', done);
    if (any.aborted) done();
  });
}
