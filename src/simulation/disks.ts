// Disks of machines that crash: acknowledged data survives, data that was not acknowledged may survive, and nothing else appears.
import type { Drawer } from '../games/drawer.ts';
import type { BlobStore } from '../ledger/blob-store.ts';
import { createMemoryBlobStore, inMemory } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { decodeBatch } from '../ledger/journal.ts';
import {
  checkEntries,
  checkRange,
  closedError,
  type LogStore,
  MAX_WAITING_BYTES,
  MAX_WAITING_ENTRIES,
  SNAPSHOTS_KEPT,
  type Snapshot,
} from '../ledger/log-store.ts';
import { openObjectJournal } from '../ledger/object-journal.ts';
import { openReplica } from '../ledger/replica.ts';
import { createMemoryLocalLog } from '../ledger/testing/memory-log.ts';
import { type KeptObjects, memoryObjects } from '../ledger/testing/memory-objects.ts';
import type { Random } from '../protocol/random.ts';
import type { Process } from './virtual-time.ts';

/** How long one commit takes. */
export interface DiskSpeed {
  commit_ms: number;
  jitter_ms: number;
}

/** Faults that a test plants in a hub's disk. */
export interface DiskFaults {
  /** The log answers before the commit. */
  readonly early_log?: boolean;
  /** Blobs are answered before they are written. */
  readonly early_blobs?: boolean;
  /** The disk refuses data that does not fit, but keeps its beginning. */
  readonly keeps_part?: boolean;
}

/** The percentage of requests to a journal that fail in some way, and the longest time that a request travels. */
const LOST_PERCENT = 10;
const REQUEST_MS = 4;

interface Waiting {
  readonly entries: readonly Uint8Array[];
  resolve(first: number): void;
  reject(error: LedgerError): void;
}

/** A hub's disk. It outlives the processes that open it. */
export class HubDisk {
  /** The durable entries of the log. */
  readonly entries: Uint8Array[] = [];
  readonly blobs: BlobStore = createMemoryBlobStore();
  readonly speed: DiskSpeed;
  /** No room for entries. */
  full = false;
  /** The order in which blobs arrived. */
  readonly arrivals = new Map<string, number>();
  /** The largest number of entries that ever waited for a commit. */
  most_waiting = 0;
  #snapshots: Snapshot[] = [];
  #derived = new Map<string, Uint8Array>();
  #copy = createMemoryLocalLog();
  /** The journal's objects; each is durable as soon as it is created. */
  readonly #objects: KeptObjects;
  readonly #random: Random;
  readonly #faults: DiskFaults;
  #crash: (() => void)[] = [];

  constructor(random: Random, speed: DiskSpeed, faults: DiskFaults) {
    this.#random = random;
    this.speed = speed;
    this.#faults = faults;
    const objects = new Map<string, Uint8Array>();
    this.#objects = {
      has: (name) => objects.has(name),
      get: (name) => objects.get(name),
      set: (name, bytes) => {
        this.entries.push(...decodeBatch(bytes).entries);
        return objects.set(name, bytes);
      },
    };
  }

  /** The process that had the disk open is gone: a part of what it was writing, from the beginning on, may be on the disk. */
  crash(): void {
    for (const settle of this.#crash) settle();
    this.#crash = [];
  }

  #commitMs(): number {
    return this.speed.commit_ms + this.#random.below(this.speed.jitter_ms + 1);
  }

  openLog(process: Process): LogStore {
    const { entries } = this;
    const early = this.#faults.early_log === true;
    let waiting: Waiting[] = [];
    let committing: Waiting[] = [];
    let derivedWaiting = new Map<string, Uint8Array>();
    let ahead = 0;
    let closed = false;
    const derived = this.#derived;
    const size = (): number => entries.length + (early ? ahead : 0);
    const all = (): Uint8Array[] =>
      early ? [...entries, ...[...committing, ...waiting].flatMap((call) => call.entries)] : entries;
    const commit = (): void => {
      committing = waiting;
      waiting = [];
      const kept = derivedWaiting;
      derivedWaiting = new Map();
      process.after(this.#commitMs(), () => {
        const calls = committing;
        committing = [];
        if (this.full) {
          if (this.#faults.keeps_part) entries.push(...calls[0].entries.slice(0, 1));
          derivedWaiting = new Map([...kept, ...derivedWaiting]);
          for (const call of calls) call.reject(new LedgerError('disk-full', 'no room for the log'));
          if (waiting.length > 0) commit();
          return;
        }
        for (const [key, bytes] of kept) derived.set(key, bytes);
        for (const call of calls) {
          const first = entries.length;
          entries.push(...call.entries);
          ahead -= call.entries.length;
          call.resolve(first);
        }
        if (waiting.length > 0) commit();
      });
    };
    this.#crash.push(() => {
      const calls = [...committing, ...waiting];
      const survive = this.#random.below(calls.length + 1);
      for (const call of calls.slice(0, survive)) entries.push(...call.entries);
    });
    return {
      get size() {
        return size();
      },
      append: (added) => {
        if (closed) return Promise.reject(closedError());
        checkEntries(added);
        const calls = [...waiting, ...committing].flatMap((call) => call.entries);
        const bytes = calls.reduce((sum, entry) => sum + entry.length, 0);
        if (calls.length >= MAX_WAITING_ENTRIES || bytes >= MAX_WAITING_BYTES) {
          return Promise.reject(new LedgerError('overloaded', `${calls.length} entries wait to be written`));
        }
        const first = size();
        const copies = added.map((entry) => entry.slice());
        ahead += copies.length;
        const written = new Promise<number>((resolve, reject) => waiting.push({ entries: copies, resolve, reject }));
        this.most_waiting = Math.max(this.most_waiting, calls.length + copies.length);
        if (committing.length === 0 && waiting.length === 1) commit();
        return early ? Promise.resolve(first) : written;
      },
      read(from, to) {
        checkRange(from, to, size());
        return all()
          .slice(from, to)
          .map((entry) => entry.slice());
      },
      // Only the state has snapshots. A snapshot is written completely, as in a database transaction.
      putSnapshot: (_name, size, bytes) => {
        this.#snapshots = [{ size, bytes: bytes.slice() }, ...this.#snapshots].slice(0, SNAPSHOTS_KEPT);
      },
      snapshots: () => this.#snapshots,
      putDerived(key, bytes) {
        derivedWaiting.set(key, bytes.slice());
      },
      getDerived: (key) => (derivedWaiting.get(key) ?? derived.get(key))?.slice() ?? null,
      async close() {
        closed = true;
      },
    };
  }

  /** The log of a hub whose journal is on another machine: requests and answers get lost, and the hub's machine keeps a copy that may be lost too. */
  async openReplica(process: Process): Promise<LogStore> {
    const wait = (ms: number): Promise<void> => process.wait(ms);
    const faults = { random: this.#random, wait, percent: LOST_PERCENT, longest_ms: REQUEST_MS };
    const journal = openObjectJournal(memoryObjects(this.#objects, faults), { wait });
    if (this.#random.below(3) === 0) this.#copy = createMemoryLocalLog();
    const copy = this.#copy;
    const store = await openReplica(copy, journal, { soon: (run) => void process.after(0, run) });
    const close = async (): Promise<void> => {
      await store.close();
      this.#copy = createMemoryLocalLog();
    };
    return {
      ...store,
      close,
      get size() {
        return store.size;
      },
    };
  }

  openBlobs(process: Process): BlobStore {
    const { blobs } = this;
    const early = new Map<string, Uint8Array>();
    const put = async (bytes: Uint8Array): Promise<string> => {
      const copy = bytes.slice();
      const hash = await createMemoryBlobStore().put(copy);
      if (!this.arrivals.has(hash)) this.arrivals.set(hash, this.arrivals.size);
      let done = false;
      const settle = (): void => {
        // Rename is atomic: a blob exists completely or not at all.
        if (!done && this.#random.below(2) === 0) void blobs.put(copy);
        done = true;
      };
      this.#crash.push(settle);
      const written = process.wait(this.#commitMs() * (this.#faults.early_blobs ? 40 : 1)).then(async () => {
        done = true;
        this.#crash = this.#crash.filter((other) => other !== settle);
        await blobs.put(copy);
        early.delete(hash);
      });
      if (this.#faults.early_blobs) early.set(hash, copy);
      else await written;
      return hash;
    };
    const has = async (hash: string) => early.has(hash) || (await blobs.has(hash));
    const get = async (hash: string) => {
      await process.wait(1);
      return early.get(hash)?.slice() ?? (await blobs.get(hash));
    };
    return {
      ...{ put, has, get },
      ...inMemory({ put, has, get }),
      putAt: (hash) => blobs.putAt(hash),
      sizeOf: async (hash) => early.get(hash)?.length ?? (await blobs.sizeOf(hash)),
      delete: (hash) => blobs.delete(hash),
      list: () => blobs.list(),
    };
  }
}

/** A peer's disk: cached blobs, its drawer, its receipts. */
export class PeerDisk {
  readonly cache = new Map<string, Uint8Array>();
  readonly receipts: { readonly event: Uint8Array; readonly receipt: unknown }[] = [];
  readonly #drawer = new Map<string, Uint8Array>();

  /** Whether any entry of the drawer contains a text. */
  mentions(text: string): boolean {
    return [...this.#drawer.values()].some((bytes) => Buffer.from(bytes).includes(text));
  }

  openDrawer(process: Process): Drawer {
    const drawer = this.#drawer;
    return {
      async get(name) {
        await process.wait(1);
        return drawer.get(name)?.slice() ?? null;
      },
      async put(name, bytes) {
        const copy = bytes.slice();
        await process.wait(2);
        drawer.set(name, copy);
      },
      async delete(name) {
        await process.wait(2); // as long as `put`: calls take effect in their order
        drawer.delete(name);
      },
    };
  }
}
