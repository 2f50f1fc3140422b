// Fetches and uploads a peer's blobs over HTTP: verifies every hash, and caches blobs so that none is fetched twice.
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256Beside, sha256Hex } from '../protocol/hash.ts';
import { refusalOf } from '../protocol/http-refusal.ts';
import type { Identity } from '../protocol/identity.ts';
import { LINE_LIMITS, type Line, megabytes, openLine } from '../protocol/line.ts';
import { uploadChallenge, WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { sendDirectly } from './direct-upload.ts';
import { sendBlob, type TransferWatch } from './upload.ts';

/** Progress is reported after a second, and then once a second: quicker transfers are not worth a report. */
const TOLD_EVERY_MS = 1000;

/** The progress of a transfer that takes more than a moment. */
export interface Transfer {
  readonly direction: 'down' | 'up';
  readonly hash: string;
  readonly done_bytes: number;
  /** null while the blob's length is not known. */
  readonly total_bytes: number | null;
  /** Why the transfer is being retried; null while it goes on. */
  readonly trouble: string | null;
}

/** A blob that the hub has, or gets with the event that needs it. */
export interface HandedOver {
  readonly hash: string;
  /** What the event must enclose; null where the hub has the blob. */
  readonly enclosed: Uint8Array | null;
}

export interface PeerBlobs {
  /** A blob's bytes. Throws PeerError `bad-blob`, `hub-unreachable`. */
  fetch(hash: string): Promise<Uint8Array>;
  /** Uploads; resolves when the hub has it on disk. Throws PeerError `refused`, `proxy-answered`, `hub-unreachable`. */
  upload(bytes: Uint8Array): Promise<string>;
  /** Uploads what an event is about to need, unless it is so small that it goes with the event itself. Throws as `upload` does. */
  handOver(bytes: Uint8Array): Promise<HandedOver>;
  /** Whether the hub says that it has a blob; none of it is fetched. */
  has(hash: string): Promise<boolean>;
  /** The caller knows that the hub is back: requests that hang or wait resume at once. */
  renew(): void;
  /** Ends transfers under way; they throw `hub-unreachable`. */
  close(): void;
}

/** Where a device caches blobs. Every blob is verified on reading, and one that cannot be stored is fetched again. */
export interface BlobCache {
  get(hash: string): Promise<Uint8Array | null>;
  put(hash: string, bytes: Uint8Array): Promise<void>;
}

export function openPeerBlobs(options: {
  /** Where the hub is; it may change, and is then asked at its new address from the next attempt on. */
  readonly url: string | (() => string);
  readonly hub: string;
  readonly identity: Identity;
  readonly cache: BlobCache;
  /** Called with the progress of transfers. */
  readonly onTransfer?: (transfer: Transfer) => void;
  /** Retry until closed, for a device that takes part, because the run goes on too. */
  readonly patient?: boolean;
  /** The wait after the first failure; it doubles with each further one. */
  readonly first_wait_ms?: number;
  /** How long a request may be silent. */
  readonly silence_ms?: number;
}): PeerBlobs {
  const { hub, identity, cache, patient, first_wait_ms, silence_ms } = options;
  const urlNow = (): string => (typeof options.url === 'string' ? options.url : options.url());
  const addressOf = (hash: string): string => `${urlNow()}/blobs/${hash}`;
  const line = openLine({
    ...(patient && { attempts: Number.POSITIVE_INFINITY }),
    ...(first_wait_ms !== undefined && { first_wait_ms }),
    ...(silence_ms !== undefined && { silence_ms }),
  });
  const pending = new Map<string, Promise<Uint8Array>>();
  const closing = new AbortController();
  /** What is known of the hub: whether its blobs come from elsewhere, and whether they go there. */
  const route = { down: false, up: true };

  const fromCache = async (hash: string): Promise<Uint8Array | null> => {
    const bytes = await cache.get(hash).catch(() => null);
    return bytes && bytesToHex(await sha256Beside(bytes)) === hash ? bytes : null; // a damaged blob is fetched again
  };

  const load = async (hash: string): Promise<Uint8Array> => {
    const kept = await fromCache(hash);
    if (kept) return kept;
    const bytes = await fetchBlob(line, addressOf, hash, identity.id, route, options.onTransfer);
    // A full disk must not cost the round.
    await cache.put(hash, bytes).catch(() => {});
    return bytes;
  };

  const upload = async (bytes: Uint8Array): Promise<string> => {
    const hash = sha256Hex(bytes);
    const signature = bytesToHex(await identity.sign(uploadChallenge(hub, hash)));
    const headers = { 'x-potluck-peer': identity.id, 'x-potluck-signature': signature };
    const watch = watchTransfer('up', hash, options.onTransfer);
    const sent = route.up && (await sendDirectly(line, urlNow, { hash, bytes }, headers, watch, closing.signal));
    if (sent === 'never') route.up = false;
    if (sent !== 'sent') await sendBlob(line, () => addressOf(hash), bytes, headers, watch);
    watch.done();
    // A worker reads its own work again, one round later.
    await cache.put(hash, bytes).catch(() => {});
    return hash;
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
    upload,
    async handOver(bytes) {
      if (bytes.length > WIRE_LIMITS.enclosed_bytes) return { hash: await upload(bytes), enclosed: null };
      const hash = sha256Hex(bytes);
      await cache.put(hash, bytes).catch(() => {});
      return { hash, enclosed: bytes };
    },
    async has(hash) {
      const signal = AbortSignal.timeout(silence_ms ?? LINE_LIMITS.silence_ms);
      const answer = await fetch(addressOf(hash), { method: 'HEAD', signal }).catch(() => null);
      return answer?.status === 200;
    },
    renew: line.renew,
    close() {
      closing.abort();
      line.close();
    },
  };
}

async function fetchBlob(
  line: Line,
  addressOf: (hash: string) => string,
  hash: string,
  peer: string,
  route: { down: boolean },
  onTransfer: ((transfer: Transfer) => void) | undefined,
): Promise<Uint8Array> {
  const watch = watchTransfer('down', hash, onTransfer);
  // The hub counts what it sends; a header would go on to wherever it redirects, and a browser would ask there first.
  const init = (): RequestInit => (route.down ? {} : { headers: { 'x-potluck-peer': peer } });
  for (let immutable = true; ; immutable = false) {
    const answer = await line.ask({
      ...{ url: () => addressOf(hash), init, max_bytes: WIRE_LIMITS.blob_bytes, immutable },
      ...{ onBytes: watch.at, onTrouble: watch.trouble },
    });
    const { status, bytes } = answer;
    route.down ||= answer.redirected;
    if (status !== 200 && status !== 206) {
      const { message } = refusalOf(answer, `a request for blob ${hash}`);
      throw new PeerError('bad-blob', message, { hash, status });
    }
    const found = bytesToHex(await sha256Beside(bytes));
    if (found === hash) {
      watch.done();
      return bytes;
    }
    if (answer.joined) continue; // the pieces did not belong together: fetch it again in one piece
    throw new PeerError('bad-blob', `expected bytes whose SHA-256 is ${hash}, got ${found}`, { hash, found });
  }
}

/** Reports progress from time to time, trouble that lasts, and the end of a transfer that was reported. */
function watchTransfer(
  direction: Transfer['direction'],
  hash: string,
  onTransfer: ((transfer: Transfer) => void) | undefined,
): TransferWatch {
  let told_ms = performance.now();
  let told = false;
  let at: Pick<Transfer, 'done_bytes' | 'total_bytes'> = { done_bytes: 0, total_bytes: null };
  const tell = (trouble: string | null): void => {
    told = true;
    told_ms = performance.now();
    onTransfer?.({ direction, hash, ...at, trouble });
  };
  return {
    at(done_bytes, total_bytes) {
      at = { done_bytes, total_bytes };
      if (performance.now() - told_ms >= TOLD_EVERY_MS) tell(null);
    },
    trouble({ reason, silent, failures }) {
      // A kept-alive connection may have been closed by the other end, and the next one works: not worth a report.
      if (silent || failures > 1) tell(reason);
    },
    done() {
      if (told) tell(null);
    },
  };
}

const SAID_EVERY_MS = 10_000;
const SAME_TROUBLE_EVERY_MS = 60_000;

/** Turns reports into sentences for people: every ten seconds the progress, and what is wrong. */
export function transferTeller(say: (sentence: string, transfer: Transfer) => void): (transfer: Transfer) => void {
  let said = { hash: '', trouble: null as string | null, at_ms: performance.now(), done: false };
  return (transfer) => {
    const { hash, trouble } = transfer;
    const since_ms = performance.now() - said.at_ms;
    const again_ms = trouble === null ? SAID_EVERY_MS : SAME_TROUBLE_EVERY_MS;
    const news = trouble !== null && trouble !== said.trouble;
    const done = transfer.done_bytes === transfer.total_bytes && trouble === null;
    const end = said.hash === hash && done && !said.done;
    if (!news && !end && since_ms < again_ms) return;
    said = { hash, trouble: trouble ?? said.trouble, at_ms: performance.now(), done };
    say(transferSentence(transfer), transfer);
  };
}

/** A transfer in a few words: "fetching: 1.2 of 3.3 MB". */
function transferSentence({ direction, done_bytes, total_bytes, trouble }: Transfer): string {
  const sentence = `${direction === 'down' ? 'fetching' : 'sending'}: ${megabytes(done_bytes, total_bytes)}`;
  return trouble === null ? sentence : `${sentence}, broken off (${trouble}); going on`;
}
