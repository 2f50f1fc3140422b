// Uploaded blobs that no event names yet: how many bytes of them a key, an address and all strangers may keep here.
import { isLasting } from '../core/rounds/forgetting.ts';
import type { NetworkState } from '../core/state.ts';
import { assert } from '../errors.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { type BlobHolds, openBlobHolds } from './blob-holds.ts';
import { HubError } from './errors.ts';
import { openTally } from './tally.ts';

/** The limits of what may be uploaded, or arriving, without an accepted event that names it. */
export const UNNAMED_BYTES = {
  key: WIRE_LIMITS.model_bytes + WIRE_LIMITS.blob_bytes, // the largest first model, and text to learn from; nobody needs more at once
  address: 2 * WIRE_LIMITS.model_bytes, // several owners in one house that upload a run's text
  strangers: 8 * WIRE_LIMITS.blob_bytes, // all keys together that neither take part in a run nor own one
} as const;

/** Whether a key is known: it owns a run, is in one, or has a record there. A key that joined once and left is a stranger. */
export function isKnownKey(state: Pick<NetworkState, 'runs'>, id: string): boolean {
  return [...state.runs.values()].some((run) => {
    const peer = run.peers.get(id);
    return run.owner === id || (peer !== undefined && isLasting(run, peer));
  });
}

/** The uploader. */
export interface Uploader {
  readonly peer: string;
  /** As `addressOf` gives it; null: not counted by address. */
  readonly address: string | null;
}

/** Bytes that are arriving: they count as they come, not as they were announced. */
export interface Arriving {
  /** Counts more bytes. Throws HubError `too-much` where there is no room for them. */
  grow(size_bytes: number): void;
  /** They do not count any more: they were dropped, or became a blob. */
  end(): void;
}

export interface UnnamedBlobs extends BlobHolds {
  /** Throws HubError `too-much` unless so many more bytes fit. */
  mustFit(who: Uploader, size_bytes: number): void;
  arriving(who: Uploader): Arriving;
  add(who: Uploader, hash: string, size_bytes: number): void;
  /** A blob was uploaded that nothing names yet. */
  of(peer: string): ReadonlySet<string>;
  /** Whether a key uploaded it that neither takes part in a run nor owns one. */
  isStrangers(hash: string): boolean;
  /** Calls a listener when strangers together have uploaded as much as they may. */
  onCrowded(listener: () => void): void;
  /** An event names it, or a blob that one names; or it was deleted. */
  named(hash: string): void;
  /** Begins to record what is named, for a caller that searches the log for unnamed blobs. */
  watch(): { readonly named: ReadonlySet<string>; end(): void };
}

const STRANGERS = 'strangers';
/** When a stranger may ask again after other strangers have left no room. */
const CROWDED_RETRY_S = 60;

/** One of the sums that bytes count towards. */
interface Count {
  readonly name: string;
  readonly most_bytes: number;
  /** Whose bytes they are, in words. */
  readonly of: string;
}

/** @param isKnown whether a key takes part in a run or owns one; by default no key does */
export function unnamedBlobs(isKnown: (peer: string) => boolean = () => false): UnnamedBlobs {
  const uploads = new Map<string, { who: Uploader; counts: readonly Count[]; size_bytes: number }>();
  const sums = openTally();
  const watchers = new Set<Set<string>>();
  const crowded = new Set<() => void>();

  /** What an uploader's bytes count towards. */
  const countsOf = ({ peer, address }: Uploader): Count[] => [
    { name: `key ${peer}`, most_bytes: UNNAMED_BYTES.key, of: 'one key' },
    ...(address === null ? [] : [{ name: `at ${address}`, most_bytes: UNNAMED_BYTES.address, of: 'one address' }]),
    ...(isKnown(peer) ? [] : [{ name: STRANGERS, most_bytes: UNNAMED_BYTES.strangers, of: 'all newcomers' }]),
  ];
  const change = (counts: readonly Count[], size_bytes: number): void => {
    for (const { name } of counts) sums.add(name, size_bytes);
  };
  const mustFit = (counts: readonly Count[], size_bytes: number): void => {
    const full = counts.find(({ name, most_bytes }) => sums.of(name) + size_bytes > most_bytes);
    if (!full) return;
    const message = `at most ${full.most_bytes} bytes of ${full.of} that no event names yet`;
    // A key or an address must wait until its own are named; what strangers have hoarded together is deleted soon.
    if (full.name !== STRANGERS) throw new HubError('too-much', message);
    for (const listener of crowded) listener();
    throw new HubError('too-much', message, { retry_after_s: CROWDED_RETRY_S });
  };

  return {
    ...openBlobHolds(),
    mustFit: (who, size_bytes) => mustFit(countsOf(who), size_bytes),
    arriving(who) {
      const counts = countsOf(who);
      let arrived_bytes = 0;
      return {
        grow(size_bytes) {
          assert(size_bytes >= 0, 'the number of arrived bytes does not shrink');
          mustFit(counts, size_bytes);
          change(counts, size_bytes);
          arrived_bytes += size_bytes;
        },
        end() {
          change(counts, -arrived_bytes);
          arrived_bytes = 0;
        },
      };
    },
    add(who, hash, size_bytes) {
      if (uploads.has(hash)) return;
      const counts = countsOf(who);
      uploads.set(hash, { who, counts, size_bytes });
      change(counts, size_bytes);
    },
    of: (peer) => new Set([...uploads].filter(([, { who }]) => who.peer === peer).map(([hash]) => hash)),
    isStrangers(hash) {
      const upload = uploads.get(hash);
      return upload !== undefined && !isKnown(upload.who.peer);
    },
    onCrowded: (listener) => void crowded.add(listener),
    named(hash) {
      for (const watcher of watchers) watcher.add(hash);
      const upload = uploads.get(hash);
      if (!upload) return;
      uploads.delete(hash);
      change(upload.counts, -upload.size_bytes);
    },
    watch() {
      const named = new Set<string>();
      watchers.add(named);
      return { named, end: () => void watchers.delete(named) };
    },
  };
}
