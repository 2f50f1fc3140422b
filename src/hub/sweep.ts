// Deletes uploads that no event names, so that uploads without a purpose cannot fill a hub's disk.
//
// A blob stays when an event names it, when a run's settings or a kept model name it, or when a blob that these name does: a run's
// settings name the manifest of its text, which names the pieces of text; a model's manifest names its parts.

import { decodeEvent } from '../core/codec.ts';
import { blobsNamedBy } from '../core/events.ts';
import type { NetworkState } from '../core/state.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import type { Clock } from '../protocol/clock.ts';
import { sleep } from '../protocol/clock.ts';
import type { LogClock } from './log-clock.ts';
import type { EventLog } from './log-writer.ts';
import type { UnnamedBlobs } from './unnamed-blobs.ts';

const DAY_MS = 86_400_000;
/**
 * How long an upload may wait for its event: the longest round and the longest judging (a day each), and a day in which an owner on a
 * slow line uploads a data set before creating the run.
 */
export const GRACE_MS = 3 * DAY_MS;
/**
 * The same for keys that neither take part in a run nor own one. The uploader of a first run's text has a day, plus the hours until the
 * next sweep. When strangers together have uploaded as much as they may, uploads older than ten minutes are deleted.
 */
export const STRANGERS_GRACE_MS = DAY_MS;
export const CROWDED_GRACE_MS = 10 * 60_000;
/** If the clock is further from the log's time than this, nothing is deleted. */
const MOST_SKEW_MS = DAY_MS / 2;
/** The first sweep comes when a restarted hub has its peers back. Each one that finds something old reads the whole log. */
const FIRST_SWEEP_MS = 10 * 60_000;
const SWEEP_EVERY_MS = DAY_MS;
/** The least time between two sweeps because strangers have left no room. */
const CROWDED_EVERY_MS = 5 * 60_000;
/** Entries per turn of the event loop: a few milliseconds. */
const PAGE = 256;
/** The size of blobs that are searched for names: up to a manifest of the largest data set. */
const SEARCHED_BYTES = 32 << 20;
const HASH_BYTES = 32;

export interface SweepOptions {
  readonly blobs: BlobStore;
  readonly log: EventLog;
  readonly state: NetworkState;
  readonly unnamed: UnnamedBlobs;
  readonly clock: Clock;
  readonly time: Pick<LogClock, 'ahead_ms' | 'opened'>;
  /** The waiting time for strangers' uploads; by default STRANGERS_GRACE_MS. */
  readonly strangers_grace_ms?: number;
  readonly onError: (error: unknown) => void;
}

/** Sweeps from time to time until it is closed. */
export function openSweeps(options: SweepOptions): { close(): Promise<void> } {
  const { clock } = options;
  const closing = new AbortController();
  let sweeping: Promise<unknown> = Promise.resolve();
  let crowdedAt_ms = Number.NEGATIVE_INFINITY;
  /** One sweep after the other. */
  const look = (strangers_grace_ms: number): void => {
    sweeping = sweeping
      .then(() => sweepUnnamed({ ...options, strangers_grace_ms }, closing.signal))
      .catch((error) => {
        if (!closing.signal.aborted) options.onError(error);
      });
  };
  const sweep = (): void => {
    look(STRANGERS_GRACE_MS);
    timer = clock.setTimeout(sweep, SWEEP_EVERY_MS);
  };
  let timer = clock.setTimeout(sweep, FIRST_SWEEP_MS);
  options.unnamed.onCrowded(() => {
    if (closing.signal.aborted || clock.elapsed_ms() - crowdedAt_ms < CROWDED_EVERY_MS) return;
    crowdedAt_ms = clock.elapsed_ms();
    look(CROWDED_GRACE_MS);
  });
  return {
    async close() {
      closing.abort();
      clock.clearTimeout(timer);
      await sweeping;
    },
  };
}

/** Deletes uploads that are older than the waiting time and named by nothing; resolves to their hashes. Throws LedgerError. */
export async function sweepUnnamed(options: SweepOptions, signal?: AbortSignal): Promise<string[]> {
  const { blobs, unnamed, state } = options;
  // Ages cannot be trusted if the clock was set by hours.
  if (Math.abs(options.time.ahead_ms()) > MOST_SKEW_MS) return [];
  // From here on newly named blobs are recorded, because events go on coming while the log is read below.
  const watch = unnamed.watch();
  try {
    const { all, old } = await listBlobs(options);
    const models = old.size > 0 ? await leaveOutLog(options, old, signal) : [];
    const runs = state.runs.size;
    const roots = [...state.runs.values()].flatMap(({ spec }) => [spec.params, spec.model]).concat(models);
    if (old.size > 0) for (const hash of await namedThrough(blobs, roots, all)) old.delete(hash);
    const deleted: string[] = [];
    for (const hash of old) {
      // The names in a new run's settings were not searched; the next sweep does that.
      if (signal?.aborted || state.runs.size !== runs) break;
      await unnamed.remove(hash, async () => {
        if (watch.named.has(hash) || !(await isOld(options, hash))) return;
        if (!(await blobs.delete(hash))) return;
        unnamed.named(hash);
        deleted.push(hash);
      });
    }
    return deleted;
  } finally {
    watch.end();
  }
}

/** By the machine's clock, which may be wrong at a start: older uploads wait longer, by as much as the hub seems to have been down. */
async function isOld(options: SweepOptions, hash: string): Promise<boolean> {
  const { blobs, clock, unnamed, strangers_grace_ms = STRANGERS_GRACE_MS } = options;
  const { opened } = options.time;
  const put_ms = await blobs.putAt(hash);
  if (put_ms === null) return false;
  const grace_ms = unnamed.isStrangers(hash) ? strangers_grace_ms : GRACE_MS;
  return clock.now_ms() - put_ms > (put_ms < opened.at_ms ? grace_ms + opened.away_ms : grace_ms);
}

async function listBlobs(options: SweepOptions): Promise<{ all: Set<string>; old: Set<string> }> {
  const all = new Set<string>();
  const old = new Set<string>();
  for await (const hash of options.blobs.list()) {
    all.add(hash);
    if (await isOld(options, hash)) old.add(hash);
  }
  return { all, old };
}

/** Removes the blobs that the log's events name, a page at a time, so that the hub goes on meanwhile; resolves to the checkpoints among them. */
async function leaveOutLog({ log, clock }: SweepOptions, old: Set<string>, signal?: AbortSignal): Promise<string[]> {
  const { size } = log;
  const models: string[] = [];
  for (let from = 0; from < size && !signal?.aborted; from += PAGE) {
    for (const bytes of log.read(from, Math.min(size, from + PAGE))) {
      // The hub verified every signature before it wrote the event.
      const { body } = decodeEvent(bytes, { verify_signature: false });
      for (const hash of blobsNamedBy(body)) old.delete(hash);
      if (body.type === 'run.part') models.push(...body.blobs);
      if (body.type !== 'round.merged' || !body.checkpoint) continue;
      models.push(body.model, ...(body.rest ? [body.rest] : []));
    }
    await sleep(clock, 0);
  }
  if (signal?.aborted) old.clear(); // the unread part may name any of them
  return models;
}

/** The known hashes that occur in blobs named by events, and in blobs named by those: a run's settings name its manifest, which names its text. */
export async function namedThrough(
  blobs: BlobStore,
  roots: readonly string[],
  known: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const first = await referencesIn(blobs, roots, known);
  return new Set([...first, ...(await referencesIn(blobs, first, known))]);
}

/** The known hashes that occur in some blobs, as text or as bytes, whatever the blobs' form, because a game defines its own settings. */
async function referencesIn(
  blobs: BlobStore,
  hashes: readonly string[],
  known: ReadonlySet<string>,
): Promise<string[]> {
  const found = new Set<string>();
  const consider = (hash: string): void => {
    if (known.has(hash)) found.add(hash);
  };
  const starts = new Set([...known].map((hash) => Number.parseInt(hash.slice(0, 8), 16)));
  for (const name of new Set(hashes)) {
    const size = await blobs.sizeOf(name);
    if (size === null || size > SEARCHED_BYTES) continue;
    const bytes = Buffer.from((await blobs.get(name))!);
    for (const [digits] of bytes.toString('latin1').matchAll(/[0-9a-f]{64,}/gi)) {
      for (let at = 0; at + 64 <= digits.length; at++) consider(digits.slice(at, at + 64).toLowerCase());
    }
    for (let at = 0; at + HASH_BYTES <= bytes.length; at++) {
      if (starts.has(bytes.readUInt32BE(at))) consider(bytes.toString('hex', at, at + HASH_BYTES));
    }
  }
  return [...found];
}
