// Of `bench cluster`: what an event costs the process that leads, and one that follows, over a real NATS server and a journal in an S3.
import { type ChildProcess, fork } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { HUB_FLAGS } from '../cli/children.ts';
import { askLeader } from '../hub/cluster/ask-leader.ts';
import { openNatsBus } from '../hub/cluster/nats-bus.ts';
import { subjectsOf } from '../hub/cluster/subjects.ts';
import { startNats } from '../hub/cluster/testing/nats-server.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { systemClock } from '../protocol/clock.ts';
import type { createIdentity } from '../protocol/identity.ts';
import { loadOrCreateIdentity } from '../protocol/identity-file.ts';
import { makeLog } from './audit.ts';
import { nextMessage } from './child-messages.ts';
import type { SideOrder, SideSaid, SideTold } from './cluster-side.ts';
import { valueAt } from './report.ts';
import { startS3Process } from './s3-process.ts';

export interface SequencingOptions {
  /** How many events the leader takes as fast as it can. */
  readonly events: number;
  /** How many it takes a second afterwards, and for how long, while a follower is watched. */
  readonly paced_events: number;
  readonly seconds: number;
  readonly workers: number;
}

export interface Sequencing {
  /** Of the leader: events a second of a core, and as they came on this machine. */
  readonly per_cpu_s: number;
  readonly per_s: number;
  /** How long a batch took to be in the journal. */
  readonly batches: number;
  readonly batch_p50_ms: number;
  readonly batch_p99_ms: number;
  /** Of a follower that reads them all from the journal: events a second of a core. */
  readonly replay_per_cpu_s: number;
  /** At so many events a second: how much later than in the leader an event is in the follower's state. */
  readonly paced_per_s: number;
  readonly lag_p50_ms: number;
  readonly lag_p99_ms: number;
  /** What the follower takes of a core then. */
  readonly follower_percent: number;
}

/** As many questions as devices at some fronts have on their way. */
const AT_ONCE = 512;
const WARM_EVENTS = 500;
const TURN_MS = 10;

export async function measureSequencing(folder: string, options: SequencingOptions): Promise<Sequencing> {
  const closers: (() => unknown)[] = [];
  try {
    const nats = await startNats();
    closers.push(nats.close);
    const s3 = await startS3Process('double');
    closers.push(s3.close);
    const [url] = nats.urls;
    const key = join(folder, 'hub.key');
    const hub = await loadOrCreateIdentity(key);
    const paced = options.paced_events * options.seconds;
    const events = await historyOf(join(folder, 'history'), WARM_EVENTS + options.events + paced, options.workers, hub);
    const start = async (side: SideOrder['side']): Promise<ChildProcess> => {
      const own = join(folder, side);
      await mkdir(own);
      const order: SideOrder = { side, nats: url, s3: s3.place, folder: own, key };
      const file = join(import.meta.dirname, 'cluster-side.ts');
      const child = fork(file, [JSON.stringify(order)], { execArgv: HUB_FLAGS });
      closers.push(() => child.connected && child.disconnect());
      await nextMessage(child, `the ${side}`);
      return child;
    };
    const bus = await openNatsBus({ servers: [url], name: 'bench', onError: console.error });
    closers.push(() => bus.close());
    const { submit } = askLeader(bus, subjectsOf(hub.id), systemClock);
    const [leader, follower] = [await start('leader'), await start('follower')];
    await handInAll(submit, events.slice(0, WARM_EVENTS));
    const before = await tell(leader, 'say');
    const begun_ms = performance.now();
    await handInAll(submit, events.slice(WARM_EVENTS, events.length - paced));
    const wall_s = (performance.now() - begun_ms) / 1000;
    const full = await tell(leader, 'say');
    const read = await tell(follower, 'follow');

    const calm = await tell(follower, 'say');
    const paced_s = await handInPaced(submit, events.slice(events.length - paced), options.paced_events);
    const written = await tell(leader, 'say');
    const followed = await untilEvents(follower, events.length);
    const lags = lagsOf(written, followed);
    return {
      per_cpu_s: (options.events / (full.cpu_us - before.cpu_us)) * 1e6,
      per_s: options.events / wall_s,
      batches: full.batches_ms.length,
      batch_p50_ms: valueAt(full.batches_ms, 0.5),
      batch_p99_ms: valueAt(full.batches_ms, 0.99),
      replay_per_cpu_s: (read.events / read.cpu_us) * 1e6,
      paced_per_s: paced / paced_s,
      lag_p50_ms: valueAt(lags, 0.5),
      lag_p99_ms: valueAt(lags, 0.99),
      follower_percent: ((followed.at(-1)!.cpu_us - calm.cpu_us) / paced_s / 1e6) * 100,
    };
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function tell(child: ChildProcess, told: SideTold): Promise<SideSaid> {
  const answer = nextMessage(child, 'a side');
  child.send(told);
  return (await answer) as SideSaid;
}

/** A log of rounds as they happen, each event accepted by the core. Signatures cost nothing here: nobody on this way verifies them. */
async function historyOf(
  folder: string,
  count: number,
  workers: number,
  hub: ReturnType<typeof createIdentity>,
): Promise<Uint8Array[]> {
  await makeLog(folder, count, workers, false, hub);
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const events = store.read(0, count);
  await store.close();
  return events;
}

/** As a front end hands it in. Rejects where the leader does not take it. */
type HandIn = (event: Uint8Array) => Promise<number>;

/** Each follows on the one before, so they are sent in order. */
async function handInAll(handIn: HandIn, events: readonly Uint8Array[]): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < events.length) await handIn(events[next++]);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** @returns the seconds that it took */
async function handInPaced(handIn: HandIn, events: readonly Uint8Array[], a_second: number): Promise<number> {
  const begun_ms = performance.now();
  const all: Promise<number>[] = [];
  while (all.length < events.length) {
    const due = Math.min(events.length, Math.ceil(((performance.now() - begun_ms) / 1000) * a_second));
    while (all.length < due) all.push(handIn(events[all.length]));
    await pause(TURN_MS);
  }
  await Promise.all(all);
  return (performance.now() - begun_ms) / 1000;
}

/** What a follower says until its state has so many events. */
async function untilEvents(follower: ChildProcess, count: number): Promise<SideSaid[]> {
  const said: SideSaid[] = [];
  do {
    await pause(TURN_MS);
    said.push(await tell(follower, 'say'));
  } while (said.at(-1)!.events < count);
  return said;
}

/** How much later each event of the leader's was in the follower's state. Batches are told before anybody is answered, so it may be earlier. */
function lagsOf(written: SideSaid, followed: readonly SideSaid[]): number[] {
  const at_ms = new Map(followed.flatMap((said) => said.at_ms));
  return written.at_ms.map(([index, ms]) => Math.max(0, at_ms.get(index)! - ms));
}
