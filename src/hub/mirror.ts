// Publishes a log as static files (c2sp.org/tlog-tiles), which anybody can read and audit without the hub: tiles and bundles first, then the head.
//
// Whatever a reader gets, everything that its checkpoint needs is there. What lies there is also all that a restarted publisher needs to know:
// it goes on from the checkpoint. Two hubs that both believe they lead write the same tiles, because their logs are one chain.

import { openCheckpoint } from '../ledger/checkpoint.ts';
import { LedgerError } from '../ledger/errors.ts';
import { originOf } from '../ledger/key-names.ts';
import { equalHashes } from '../ledger/merkle.ts';
import type { PublicFiles } from '../ledger/public-files.ts';
import { entriesPath, TILE_WIDTH, tilePath, tilesOfTree } from '../ledger/tiles.ts';
import type { TransparencyLog } from '../ledger/transparency-log.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { utf8 } from '../protocol/hash.ts';
import type { Cosignatures } from './cosignatures.ts';

const LIMITS = {
  pace_ms: 1000, // a head is published at most so often; heads between are left out
  look_every_ms: 15_000, // while the log stands still: another hub may have put an older head there
  longest_wait_ms: 60_000, // between attempts, which double from the pace
  failures_told: 3, // every store refuses or loses a request now and then
  at_once: 8, // files under way: hides a store's latency and holds at most some megabytes
  last_ms: 5000, // how long a hub that ends waits for its last head to be published
} as const;

/** The pace in a bucket: each head is four or five writes, which are paid by the request. */
export const BUCKET_PACE_MS = 5000;

/** The two files that change, and how old a copy of them may be. */
const CHECKPOINT = 'log/checkpoint';
const COSIGNED = 'log/cosigned';
const MAX_AGE_S = 1;

export interface MirrorOptions {
  /** The hub's id: only its checkpoints are gone on from. */
  readonly hub: string;
  readonly log: Pick<TransparencyLog, 'size' | 'checkpoint' | 'rootAt' | 'tile' | 'entryBundle'>;
  readonly files: PublicFiles;
  readonly cosignatures: Pick<Cosignatures, 'join' | 'largest'>;
  readonly clock: Clock;
  /** Whether this process leads its hub: no other publishes. By default it does. */
  readonly leads?: () => boolean;
  /** Publishes what the entries [from, to) name, before the head that has them is published. May be called again with the same. */
  readonly named?: (from: number, to: number) => Promise<void>;
  /** Called after a head was published. */
  readonly onPublished?: (size: number) => Promise<void> | void;
  /** Called once for each failure that lasts, until it is over; and at `file-differs`, after which nothing more is published. */
  readonly onError: (error: unknown, where: string) => void;
  /** By default a second. */
  readonly pace_ms?: number;
}

export interface Mirror {
  /** Publishes the last head, if that can be done in a few seconds, and ends. */
  close(): Promise<void>;
}

/** Publishes the newest head whenever the log has grown, or a witness has cosigned it, until it is closed. */
export function keepMirrored(options: MirrorOptions): Mirror {
  const { clock, onError } = options;
  const { pace_ms = LIMITS.pace_ms, leads = () => true } = options;
  const publish = openPublisher(options);
  let timer: Timer;
  let failures = 0;
  let stopped = false;
  let closing: Promise<void> | undefined;

  const attempt = async (): Promise<void> => {
    if (stopped || !leads()) return;
    try {
      await publish();
      failures = 0;
    } catch (error) {
      failures++;
      stopped = error instanceof LedgerError && error.code === 'file-differs';
      if (stopped) onError(error, 'publishing the log, which stops');
      else if (failures === LIMITS.failures_told) onError(error, 'publishing the log, which is tried again');
    }
  };
  let running: Promise<void>;
  const next = (): void => {
    running = attempt().then(() => {
      const wait_ms = failures === 0 ? pace_ms : Math.min(LIMITS.longest_wait_ms, pace_ms * 2 ** failures);
      if (!closing && !stopped) timer = clock.setTimeout(next, wait_ms);
    });
  };
  next();

  const close = async (): Promise<void> => {
    clock.clearTimeout(timer);
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const waiting = clock.setTimeout(resolve, LIMITS.last_ms);
    await Promise.race([running.then(attempt), late]);
    clock.clearTimeout(waiting);
    stopped = true;
  };
  return { close: () => (closing ??= close()) };
}

/** What lies there. */
interface Published {
  readonly text: string;
  readonly size: number;
}

/**
 * Returns a function that publishes the newest head once, if anything has changed.
 * It throws LedgerError `file-differs` where another log lies there, `log-rewritten` where this one is shorter, `write-failed`, `read-failed`.
 */
function openPublisher(options: MirrorOptions): () => Promise<void> {
  const { log, files, cosignatures, clock } = options;
  let known: Published | null = null;
  let cosigned: string | null = null;
  let looked_ms = Number.NEGATIVE_INFINITY;
  /** Files that were made since the last head: an attempt that failed half-way is gone on with. */
  const made = new Set<string>();
  /** Partial files that lie there, and the size of the log at which a full one stands in for each (tlog-tiles, "Pruning"). */
  const partial = new Map<string, number>();

  const putAll = async (from: number, to: number): Promise<void> => {
    await eachOf(newFiles(log, from, to), LIMITS.at_once, async ([name, read]) => {
      if (made.has(name)) return;
      await files.create(name, read());
      made.add(name);
    });
  };

  const putCosigned = async (size: number): Promise<void> => {
    const largest = cosignatures.largest();
    // One that is ahead of the head there would make a reader believe that the log was cut short.
    if (largest === null || largest === cosigned || sizeIn(largest) > size) return;
    await files.replace(COSIGNED, utf8(largest), MAX_AGE_S);
    cosigned = largest;
  };

  const notePartial = (size: number): void => {
    for (const [name, full_at] of partialFiles(size)) partial.set(name, full_at);
  };
  const removePartial = async (size: number): Promise<void> => {
    for (const [name, full_at] of partial) {
      if (full_at > size) continue;
      await files.remove?.(name);
      partial.delete(name);
    }
  };

  return async () => {
    const { note, size } = await log.checkpoint();
    const text = cosignatures.join(note);
    if (known?.text === text && clock.elapsed_ms() - looked_ms < LIMITS.look_every_ms) return putCosigned(size);
    const there = await lookThere(options, known);
    looked_ms = clock.elapsed_ms();
    // What was put there once stays, also where an older head lies there now; where none lies, everything may be gone.
    if (there === null) made.clear();
    const from = there === null ? 0 : Math.max(there.size, known?.size ?? 0);
    known = there && { text: there.text, size: from };
    notePartial(from);
    if (there?.text !== text) {
      await options.named?.(from, size);
      await putAll(from, size);
      await files.replace(CHECKPOINT, utf8(text), MAX_AGE_S);
      made.clear();
      known = { text, size };
      notePartial(size);
    }
    await putCosigned(size);
    await removePartial(size);
    await options.onPublished?.(size);
  };
}

/** The head that lies there, if this log continues it; null where there is none. Throws LedgerError `file-differs`, `log-rewritten`, `read-failed`. */
async function lookThere({ hub, log, files }: MirrorOptions, known: Published | null): Promise<Published | null> {
  const bytes = await files.get(CHECKPOINT);
  if (bytes === null) return null;
  const text = new TextDecoder().decode(bytes);
  if (text === known?.text) return known;
  const differs = (what: string) =>
    new LedgerError('file-differs', `${CHECKPOINT} that lies there ${what}: nothing more is published`, {
      name: CHECKPOINT,
    });
  let there: { readonly size: number; readonly root: Uint8Array };
  try {
    there = openCheckpoint(text, { id: hub, origin: originOf(hub) });
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    throw differs(`is not one of this hub (${error.message})`);
  }
  const { size, root } = there;
  if (size > log.size) {
    const message = `${CHECKPOINT} that lies there has ${size} entries, this log ${log.size}: another hub is ahead, or this log was cut short`;
    throw new LedgerError('log-rewritten', message, { signed_size: size, size: log.size });
  }
  if (equalHashes(log.rootAt(size), root)) return { text, size };
  throw differs(`has another root for the first ${size} entries than this log`);
}

type NewFile = readonly [name: string, read: () => Uint8Array];

/** The tiles and bundles that a tree of `to` entries has, and one of `from` did not have: full ones, and the last, partial one of each level. */
function* newFiles(log: MirrorOptions['log'], from: number, to: number): Generator<NewFile> {
  for (const { level, full, partial_width } of tilesOfTree(to)) {
    const before = Math.floor(from / TILE_WIDTH ** level);
    if (before === full * TILE_WIDTH + partial_width) return;
    for (let index = Math.floor(before / TILE_WIDTH); index <= full; index++) {
      const width = index < full ? TILE_WIDTH : partial_width;
      if (width === 0) continue;
      if (level === 0) yield [`log/${entriesPath(index, width)}`, () => log.entryBundle(index, width)!];
      yield [`log/${tilePath(level, index, width)}`, () => log.tile(level, index, width)!];
    }
  }
}

/** The partial files of a tree, each with the number of entries at which it is full. */
function* partialFiles(size: number): Generator<readonly [name: string, full_at: number]> {
  for (const { level, full, partial_width } of tilesOfTree(size)) {
    if (partial_width === 0) continue;
    const full_at = (full + 1) * TILE_WIDTH ** (level + 1);
    if (level === 0) yield [`log/${entriesPath(full, partial_width)}`, full_at];
    yield [`log/${tilePath(level, full, partial_width)}`, full_at];
  }
}

/** The size in one of the hub's own checkpoints. */
const sizeIn = (note: string): number => Number(note.split('\n', 2)[1]);

/** Does something for each, so many at once. After a failure no more are begun; it is thrown when those under way have ended. */
async function eachOf<T>(items: Iterable<T>, at_once: number, step: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  let failure: { readonly error: unknown } | null = null;
  const work = async (): Promise<void> => {
    for (let next = left.next(); !next.done && !failure; next = left.next()) {
      await step(next.value).catch((error) => {
        failure ??= { error };
      });
    }
  };
  await Promise.all(Array.from({ length: at_once }, work));
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
}
