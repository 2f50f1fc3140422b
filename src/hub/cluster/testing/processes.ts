// Processes of one hub in one process: the real core of a hub, a shared journal and blobs in memory, a bus in memory; for tests.
import { randomBytes } from 'node:crypto';
import { type BlobStore, createMemoryBlobStore } from '../../../ledger/blob-store.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { LocalLog } from '../../../ledger/local-log.ts';
import { type CreateOnlyObjects, openObjectJournal } from '../../../ledger/object-journal.ts';
import { type FollowedLog, openFollowedLog } from '../../../ledger/replica.ts';
import { createMemoryLocalLog } from '../../../ledger/testing/memory-log.ts';
import { memoryObjects } from '../../../ledger/testing/memory-objects.ts';
import { openTransparencyLog, type TransparencyLog } from '../../../ledger/transparency-log.ts';
import { type Clock, systemClock, type Timer } from '../../../protocol/clock.ts';
import { createIdentity, type DrawingIdentity } from '../../../protocol/identity.ts';
import { seededRandom } from '../../../protocol/random.ts';
import { CONNECTION_LIMITS } from '../../connection.ts';
import { type HubCore, type HubCoreOptions, openHubCore } from '../../hub-core.ts';
import type { Lease } from '../lease.ts';
import { type Member, type MemberOptions, openMember, ROLES, type Role } from '../member.ts';
import { type MemoryEngine, openMemoryEngine } from '../memory-bus.ts';
import { openMemoryLeases } from '../memory-lease.ts';

export interface Shared {
  readonly identity: DrawingIdentity;
  readonly objects: Map<string, Uint8Array>;
  readonly blobs: BlobStore;
  readonly engine: MemoryEngine;
  /** The processes that answer over HTTP, by their addresses. */
  readonly answering: Map<string, HubCore>;
  lease(name: string, clock: Clock): Lease;
  /** The lease's keeper answers a process no more, or again. */
  hears(name: string, hears: boolean): void;
}

export function shared(): Shared {
  const leases = openMemoryLeases(systemClock);
  return {
    identity: createIdentity(),
    objects: new Map(),
    blobs: createMemoryBlobStore(),
    engine: openMemoryEngine(seededRandom('cluster')),
    answering: new Map(),
    lease: (name, clock) => leases.open(name, clock, Math.random),
    hears: leases.reach,
  };
}

/** What GET /ready of a process would say. */
const asking =
  ({ answering }: Shared): MemberOptions['askFront'] =>
  async (url) => {
    const asked = answering.get(url)?.services;
    if (!asked) return 'silent';
    return (await asked.condition()).state === 'ready' && asked.lacks() === null ? 'fine' : 'lacking';
  };

export interface ClusterProcess {
  readonly name: string;
  readonly core: HubCore;
  readonly log: TransparencyLog;
  readonly store: FollowedLog;
  readonly member: Member;
  /** What it could not go on with; null for nothing. */
  broken(): unknown;
  /** As SIGKILL: nothing that it does is heard of any more. */
  kill(): void;
  close(): Promise<void>;
}

export interface ProcessOptions {
  readonly roles?: readonly Role[];
  readonly local?: LocalLog;
  readonly objects?: CreateOnlyObjects;
  readonly loadGame?: HubCoreOptions['loadGame'];
}

export async function openProcess(of: Shared, name: string, options: ProcessOptions = {}): Promise<ClusterProcess> {
  const { local = createMemoryLocalLog(), objects = memoryObjects(of.objects) } = options;
  let broken: unknown = null;
  let killed = false;
  const timers = new Set<Timer>();
  const clock: Clock = {
    ...systemClock,
    setTimeout(run, delay_ms) {
      const timer = systemClock.setTimeout(() => {
        timers.delete(timer);
        run();
      }, delay_ms);
      if (killed) systemClock.clearTimeout(timer);
      else timers.add(timer);
      return timer;
    },
    clearTimeout(timer) {
      timers.delete(timer);
      systemClock.clearTimeout(timer);
    },
  };
  const onError = (error: unknown, where: string): void => {
    if (!killed) throw new Error(`${name}: ${where}: ${String(error)}`, { cause: error });
  };
  const bus = of.engine.open(name, clock, (error) => {
    // A process that finds out that it does not lead any more answers nobody.
    if (!(error instanceof LedgerError && error.code === 'fenced')) onError(error, 'the bus');
  });
  const mine: CreateOnlyObjects = {
    create: (...given) => (killed ? new Promise(() => {}) : objects.create(...given)),
    get: (...given) => (killed ? new Promise(() => {}) : objects.get(...given)),
  };
  const store = await openFollowedLog(local, openObjectJournal(mine));
  const log = openTransparencyLog(store, of.identity);
  const member = openMember({
    ...{ hub: of.identity.id, roles: new Set(options.roles ?? ROLES), bus, lease: of.lease(name, clock), store, clock },
    ...{ front: { instance: name, url: () => `http://${name}`, region: null }, onError, askFront: asking(of) },
    onBroken: (error) => {
      broken = error;
    },
  });
  const core = await openHubCore({
    ...{ identity: of.identity, log, blobs: of.blobs, clock, randomBytes, limits: CONNECTION_LIMITS, member },
    ...(options.loadGame && { loadGame: options.loadGame }),
    onError: (error, where) => {
      if (broken === null && !killed) onError(error, where);
    },
    onCondition: ({ state }, error) => {
      if (state === 'log-failed') broken = error;
    },
  });
  core.begin();
  of.answering.set(`http://${name}`, core);
  await member.begin({ ...core, log });
  return {
    ...{ name, core, log, store, member },
    broken: () => broken,
    kill() {
      killed = true;
      of.answering.delete(`http://${name}`);
      for (const timer of timers) systemClock.clearTimeout(timer);
      of.hears(name, false);
      of.engine.gone(name);
    },
    async close() {
      of.answering.delete(`http://${name}`);
      await member.close();
      await core.close();
      await bus.close();
    },
  };
}
