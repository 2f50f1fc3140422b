// Of `bench cluster`: two processes of a hub that both believe all the time that they lead, because the keeper of the lease lies; over a real NATS
// server and an S3 of its own. What anybody was answered or shown is held against the journal, by the watch of the simulator.
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CodedError } from '../errors.ts';
import { type Member, openMember, ROLES } from '../hub/cluster/member.ts';
import { type MemoryLeases, openMemoryLeases } from '../hub/cluster/memory-lease.ts';
import { openNatsBus } from '../hub/cluster/nats-bus.ts';
import { decodeBusMessage, subjectsOf } from '../hub/cluster/subjects.ts';
import { startNats } from '../hub/cluster/testing/nats-server.ts';
import { CONNECTION_LIMITS } from '../hub/connection.ts';
import { type HubCore, openHubCore } from '../hub/hub-core.ts';
import type { S3Place } from '../hub/named-place.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { openObjectJournal } from '../ledger/object-journal.ts';
import type { Receipt } from '../ledger/receipt.ts';
import { openFollowedLog } from '../ledger/replica.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { s3Objects } from '../ledger/s3/objects.ts';
import { openSqliteLocalLog } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { systemClock } from '../protocol/clock.ts';
import { signEvent } from '../protocol/envelope.ts';
import { createIdentity, type DrawingIdentity } from '../protocol/identity.ts';
import { nameOfBatch, WatchedLog } from '../simulation/cluster/watched-log.ts';
import { type Store, startS3Process } from './s3-process.ts';

export interface LyingLease {
  /** How often a process began to lead, and how often the journal told one that it does not. */
  readonly led: number;
  readonly fenced: number;
  readonly acknowledged: number;
  readonly lost: number;
  readonly doubled: number;
  /** The signed heads that were sent round or given with a receipt, all of one tree. */
  readonly heads: number;
  /** What did not hold; null for nothing. */
  readonly violation: string | null;
}

const SIDES = 2;
const SENDERS = 4;
/** Between a sender's answer and its next event: faster than either process ever leads alone. */
const NEXT_MS = 20;
const AGAIN_MS = 100;
/** As a process of the hub starts again (src/cli/hub-cluster.ts). */
const REOPENED_AFTER_MS = 200;

interface Site {
  readonly folder: string;
  readonly nats: string;
  readonly place: S3Place;
  readonly identity: DrawingIdentity;
  readonly leases: MemoryLeases;
  readonly counts: { led: number; fenced: number };
}

/** A process of the hub, which starts again whenever it cannot go on. */
interface Side {
  readonly core: HubCore | null;
  readonly log: TransparencyLog | null;
  stop(): Promise<void>;
}

export async function measureLyingLease(folder: string, store: Store, seconds: number): Promise<LyingLease> {
  const nats = await startNats({ jetstream: true });
  const s3 = await startS3Process(store);
  const identity = createIdentity();
  const leases = openMemoryLeases(systemClock);
  const site = { folder, nats: nats.urls[0], place: s3.place, identity, leases, counts: { led: 0, fenced: 0 } };
  const witness = await openNatsBus({ servers: nats.urls, name: 'witness', onError: console.error });
  const notes: string[] = [];
  witness.subscribe(subjectsOf(identity.id).batch, (bytes) => void notes.push(decodeBusMessage('batch', bytes).note));
  await witness.flushed();
  leases.lie(true);
  const sides = Array.from({ length: SIDES }, (_, i) => startSide(site, `side-${i}`));
  const ending = new AbortController();
  const acknowledged: { event: Uint8Array; receipt: Receipt }[] = [];
  const senders = Array.from({ length: SENDERS }, () => send(site, sides, acknowledged, ending.signal));
  try {
    await pause(seconds * 1000);
    leases.lie(false); // one of them leads in the end, and answers whoever still waits
    ending.abort();
    await Promise.all(senders);
    const open = sides.flatMap(({ core, log }) => (core && log ? [{ core, log }] : []));
    const watched = await heldAgainstJournal(site, acknowledged, notes, open);
    const heads = acknowledged.length + notes.length;
    return { ...site.counts, ...watched, acknowledged: acknowledged.length, heads };
  } finally {
    ending.abort();
    for (const side of sides) await side.stop();
    await witness.close();
    await s3.close();
    await nats.close();
  }
}

function startSide(site: Site, name: string): Side {
  let stopped = false;
  let opened: Awaited<ReturnType<typeof openSide>> | null = null;
  let wake = (): void => {};
  const live = async (): Promise<void> => {
    while (!stopped) {
      const { promise: over, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      opened = await openSide(site, name, resolve);
      if (!stopped) await over;
      const { close } = opened;
      opened = null;
      await close();
      await pause(REOPENED_AFTER_MS);
    }
  };
  const living = live();
  return {
    get core() {
      return opened?.core ?? null;
    },
    get log() {
      return opened?.log ?? null;
    },
    async stop() {
      stopped = true;
      wake();
      await living;
    },
  };
}

/** @param onOver it cannot go on */
async function openSide({ folder, nats, place, identity, leases, counts }: Site, name: string, onOver: () => void) {
  const own = join(folder, name);
  await mkdir(own, { recursive: true });
  const store = await openFollowedLog(
    openSqliteLocalLog(join(own, 'hub.sqlite'), 'copy'),
    openObjectJournal(s3Objects(openS3(place))),
  );
  const log = openTransparencyLog(store, identity);
  const over = (error: unknown): void => {
    if (error instanceof CodedError && error.code === 'fenced') counts.fenced++;
    onOver();
  };
  const bus = await openNatsBus({ servers: [nats], name, onError: () => {} });
  const member: Member = openMember({
    ...{ hub: identity.id, roles: new Set(ROLES), bus, store, clock: systemClock, askFront: async () => 'silent' },
    ...{ lease: leases.open(name, systemClock, Math.random), onError: () => {}, onBroken: over },
    front: { instance: `${name}-${randomBytes(4).toString('hex')}`, url: () => null, region: null },
  });
  const core = await openHubCore({
    ...{ identity, log, member, blobs: createMemoryBlobStore(), clock: systemClock, randomBytes },
    limits: CONNECTION_LIMITS,
    onCondition: ({ state }, error) => {
      if (state === 'log-failed') over(error);
    },
  });
  core.begin();
  const counted = {
    async lead() {
      counts.led++;
      await core.lead();
    },
  };
  await member.begin({ ...core, ...counted, log });
  return {
    ...{ core, log },
    async close() {
      member.hurry();
      await core.close();
      await member.close();
      await bus.close();
      await store.close();
    },
  };
}

/** Hands in one event after the other, each until it is acknowledged, now at the one process and then at the other. */
async function send(
  { identity: { id: hub } }: Site,
  sides: readonly Side[],
  acknowledged: { event: Uint8Array; receipt: Receipt }[],
  signal: AbortSignal,
): Promise<void> {
  const owner = createIdentity();
  for (let change = 0; !signal.aborted; change++) {
    const address = `0x${change.toString(16).padStart(40, '0')}`;
    const event = await signEvent(owner, { type: 'account.address', version: 1, hub, change, chain: 'evm', address });
    for (let tries = 0; ; tries++) {
      try {
        const { core } = sides[(change + tries) % sides.length];
        if (core) {
          acknowledged.push({ event, receipt: (await core.services.submit(event, null)).receipt });
          break;
        }
      } catch (error) {
        if (!(error instanceof CodedError)) throw error;
      }
      await pause(AGAIN_MS);
    }
    await pause(NEXT_MS);
  }
}

async function heldAgainstJournal(
  { identity, place }: Site,
  acknowledged: readonly { readonly event: Uint8Array; readonly receipt: Receipt }[],
  notes: readonly string[],
  open: readonly { readonly core: HubCore; readonly log: TransparencyLog }[],
): Promise<Pick<LyingLease, 'lost' | 'doubled' | 'violation'>> {
  // What they have is read before the journal is, which has at least that.
  const seen = open.map(({ log, core }) => ({
    size: log.size,
    root: log.rootAt(log.size),
    state: core.sequencer.state,
  }));
  const kept = s3Objects(openS3(place));
  const objects = new Map<string, Uint8Array>();
  for (let number = 0; ; number++) {
    const bytes = await kept.get(nameOfBatch(number));
    if (!bytes) break;
    objects.set(nameOfBatch(number), bytes);
  }
  let violation: string | null = null;
  const watched = new WatchedLog(
    identity.id,
    objects,
    (what) => {
      violation ??= what;
    },
    () => {},
  );
  watched.follow();
  for (const { event, receipt } of acknowledged) watched.acknowledged(event, receipt);
  for (const note of notes) watched.shown(note);
  for (const [i, { size, root, state }] of seen.entries()) watched.mustBeBeginning(`process ${i}`, size, root, state);
  return { lost: watched.lost, doubled: watched.doubled, violation };
}
