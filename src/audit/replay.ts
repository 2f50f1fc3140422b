// Replays a log without trusting anybody: checks tree, form, signatures and every transition, in order, and stops at the first untruth.
import { decodeEvent } from '../core/codec.ts';
import type { LoggedEvent } from '../core/events.ts';
import { brokenState } from '../core/invariants.ts';
import { apply } from '../core/reduce.ts';
import { initialState, type NetworkState } from '../core/state.ts';
import { LedgerError } from '../ledger/errors.ts';
import { equalHashes } from '../ledger/merkle.ts';
import { decodeEntryBundle, entriesPath, TILE_WIDTH, tilePath } from '../ledger/tiles.ts';
import { openEvent } from '../protocol/envelope.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { HeadCheck } from './heads.ts';
import type { AuditPool } from './pool.ts';
import { AuditFailure, type LogPage, type PublicLog, PublicLogError } from './public-log.ts';
import { checkReceiptsAt, checkReceiptsBeyond, checkRootsAt, type ReceiptBook } from './receipts.ts';
import { type PageReport, raise } from './tasks.ts';
import { type ComputedTile, TreeCheck } from './tree.ts';

/** How many pages each thread has or waits for: enough that no thread is idle, at little memory. */
const PAGES_A_THREAD = 3;

export interface ReplayOptions {
  readonly pool: AuditPool;
  /** false: the pool's threads only hash. For measuring, and for a log whose root was verified before. */
  readonly verify_signatures?: boolean;
  readonly receipts?: ReceiptBook;
  /** Heads of the log that others have seen; those that events name are added. */
  readonly heads?: HeadCheck;
  /** Called before an event changes the state, with that state. */
  readonly before?: (event: LoggedEvent, index: number, state: NetworkState) => void;
  /** Called after an event has changed the state. A promise is awaited, so that the caller can hold the replay back. */
  readonly after?: (event: LoggedEvent, index: number, state: NetworkState) => Promise<void> | void;
  readonly onProgress?: (events: number, size: number) => void;
}

export interface Replay {
  readonly state: NetworkState;
  readonly root: Uint8Array;
  /** How many tiles were compared with those that the log keeps. */
  readonly tiles: number;
  /** Events after the last signed head: they are in the folder, but the hub does not vouch for them yet. */
  readonly unsigned_events: number;
}

/** Throws AuditFailure with `details.index` (the event's index) and `details.type`, where there is one; PublicLogError. */
export async function replayLog(log: PublicLog, options: ReplayOptions): Promise<Replay> {
  const { pool } = options;
  const replay = new Replaying(log, options);
  const verify_signatures = options.verify_signatures !== false;
  const ahead: { page: LogPage; report: Promise<PageReport> }[] = [];
  const applyNext = async (): Promise<void> => {
    const { page, report } = ahead.shift()!;
    await replay.page(page, await report);
  };
  let failure: unknown = null;
  try {
    for await (const page of log.pages()) {
      checkBundle(page);
      const task = { kind: 'page', bundle: page.bundle, count: page.count, verify_signatures } as const;
      const report = pool.run(task).then((reply) => (raise(reply) as { page: PageReport }).page);
      report.catch(() => {}); // reported when its turn comes
      ahead.push({ page, report });
      if (ahead.length > PAGES_A_THREAD * pool.threads) await applyNext();
    }
  } catch (error) {
    // The page cannot be read. An event of an earlier page may be untrue as well, and the earliest problem counts.
    if (!(error instanceof AuditFailure) || Number(error.details.index) < (ahead[0]?.page.first ?? 0)) throw error;
    failure = error;
  }
  while (ahead.length > 0) await applyNext();
  if (failure) throw failure;
  return replay.end();
}

/** Finds a bundle of the wrong form before it is given to a thread. Throws AuditFailure `bad-bundle`. */
export function checkBundle({ first, count, bundle }: LogPage): void {
  try {
    decodeEntryBundle(bundle, count);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    const path = entriesPath(first / TILE_WIDTH, count);
    throw new AuditFailure('bad-bundle', `${path}: ${error.message}`, { index: first, bundle: path });
  }
}

class Replaying {
  readonly #log: PublicLog;
  readonly #options: ReplayOptions;
  readonly #tree = new TreeCheck();
  readonly #state: NetworkState;
  #tiles = 0;

  constructor(log: PublicLog, options: ReplayOptions) {
    this.#log = log;
    this.#options = options;
    this.#state = initialState(log.hub);
  }

  async page(page: LogPage, report: PageReport): Promise<void> {
    const entries = decodeEntryBundle(page.bundle, page.count);
    for (let i = 0; i < entries.length; i++) {
      const index = page.first + i;
      const event = readEvent(entries[i], index, i === report.bad);
      const pending = this.#event(event, index);
      if (pending) await pending;
      this.#leaf(index, report.leaves.subarray(i * 32, i * 32 + 32), event);
    }
    await this.#options.heads?.settle((size) =>
      this.#tree.rootOf(size, (index) => this.#log.tile(0, index, TILE_WIDTH)),
    );
    for (const tile of this.#tree.takeFull()) await this.#compareTile(tile);
    this.#options.onProgress?.(page.first + page.count, this.#log.size);
  }

  #event(event: LoggedEvent, index: number): Promise<void> | void {
    const { before, after, receipts, heads } = this.#options;
    const { body, author } = event;
    heads?.event(event, index);
    if (receipts) checkReceiptsAt(receipts, index, event.id);
    before?.(event, index, this.#state);
    const refusal = apply(this.#state, event);
    if (refusal) {
      throw new AuditFailure('refused', refusal.message, { index, type: body.type, author, refusal: refusal.code });
    }
    // A check of the whole state takes time in proportion to it, so it runs at merges, when shares move, and at the end.
    if (body.type === 'round.merged') mustHold(this.#state, index);
    return after?.(event, index, this.#state);
  }

  #leaf(index: number, leaf: Uint8Array, { body }: LoggedEvent): void {
    const { receipts, heads } = this.#options;
    const { head } = this.#log;
    this.#tree.push(leaf);
    const size = index + 1;
    if (receipts) checkRootsAt(receipts, size, () => this.#tree.root());
    heads?.at(size, () => this.#tree.root());
    if (size === head?.size && !equalHashes(this.#tree.root(), head.root)) throw wrongRoot(size, body.type);
  }

  /** A folder may have lost a tile in a crash, and computes it again; a tile that is stored or served must be right. */
  async #compareTile({ level, index, width, bytes }: ComputedTile): Promise<void> {
    const kept = await this.#log.tile(level, index, width);
    if (!kept) return;
    this.#tiles++;
    if (equalHashes(kept, bytes)) return;
    const what = kept.length === bytes.length ? 'other hashes' : `${kept.length} bytes instead of ${bytes.length}`;
    const first = index * TILE_WIDTH ** (level + 1);
    const path = tilePath(level, index, width);
    throw new AuditFailure('wrong-tile', `${path} has ${what}: it does not follow from the entries`, {
      index: first,
      level,
      tile: path,
    });
  }

  async end(): Promise<Replay> {
    const { head } = this.#log;
    const { receipts, heads } = this.#options;
    const { size } = this.#tree;
    if (receipts) checkReceiptsBeyond(receipts, size);
    heads?.beyond(size);
    if (head && head.size > size) {
      throw new AuditFailure('bad-bundle', `the hub signed ${head.size} entries, the log has ${size}`, { index: size });
    }
    mustHold(this.#state, size - 1);
    const root = this.#tree.root();
    if (head?.size === 0 && !equalHashes(root, head.root) && size === 0) throw wrongRoot(0, 'none');
    for (const tile of this.#tree.partial()) await this.#compareTile(tile);
    return { state: this.#state, root, tiles: this.#tiles, unsigned_events: size - (head?.size ?? 0) };
  }
}

/** If accepted events lead to an impossible state, the core, which is this program's own code, has a bug. That accuses nobody. */
function mustHold(state: NetworkState, index: number): void {
  const broken = brokenState(state);
  if (broken) throw new PublicLogError('broken-state', `after event ${index} the core has a bug: ${broken}`, { index });
}

function wrongRoot(size: number, type: string): AuditFailure {
  const message = `the root of these ${size} entries is not the one that the hub signed: entries were changed, moved or left out`;
  return new AuditFailure('wrong-root', message, { index: size - 1, type });
}

function readEvent(bytes: Uint8Array, index: number, bad: boolean): LoggedEvent {
  try {
    if (bad) openEvent(bytes); // throws the error of the form, which comes before that of the signature
    return decodeEvent(bytes, { verify_signature: false });
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    if (error.code === 'unknown-version' && 'type' in error.details) {
      throw new PublicLogError('unknown-version', `event ${index}: ${error.message}; that one can audit this log`, {
        index,
      });
    }
    throw new AuditFailure('bad-event', error.message, { index, reason: error.code, ...typeOf(bytes) });
  }
}

/** The type that a malformed event claims, where even that can be read. */
function typeOf(bytes: Uint8Array): { type?: string } {
  try {
    return { type: openEvent(bytes, { verify_signature: false }).body.type.slice(0, 60) };
  } catch {
    return {};
  }
}
