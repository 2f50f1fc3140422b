// Of `bench cluster`: all three NATS servers of a hub of several processes stand still for a while, then are killed and started again after as long,
// while events are handed in. Nothing that was acknowledged is lost; what waits is acknowledged afterwards.
import { setTimeout as pause } from 'node:timers/promises';
import { type Load, startLoad } from './cluster-load.ts';
import { begunAgain, startCluster } from './cluster-processes.ts';
import { compareWithJournal, type HeldAgainstJournal } from './failover.ts';
import { type Store, startS3Process } from './s3-process.ts';

export interface OutagesOptions {
  readonly store: Store;
  readonly seconds: number;
  readonly events_a_second: number;
  readonly fronts: number;
}

export interface Outage {
  /** Events that were acknowledged while it lasted: those that were on their way when it began. */
  readonly meanwhile: number;
  /** From its end to the first receipt of an event that was handed in after it. */
  readonly receipt_ms: number;
}

export interface Outages extends HeldAgainstJournal {
  readonly still: Outage;
  readonly dead: Outage;
  readonly wait_worst_ms: number;
  /** How often an event had to be handed in again, by why. */
  readonly again: Readonly<Record<string, number>>;
  /** How often a process of the hub ended and began again. */
  readonly begun_again: number;
}

const SERVERS = [0, 1, 2];
/** The second begins when no more wait than come in a second, or after so long. */
const CALM_WITHIN_MS = 120_000;
const LOOK_MS = 100;

export async function measureOutages(folder: string, options: OutagesOptions): Promise<Outages> {
  const cluster = await startCluster(folder, {
    sequencers: 2,
    fronts: options.fronts,
    nats: 3,
    s3: await startS3Process(options.store),
  });
  const { nats } = cluster;
  const last_ms = options.seconds * 1000;
  try {
    const urls = cluster.fronts.map(({ url }) => url);
    const load = startLoad(urls, cluster.hub, options.events_a_second);
    await load.next();
    const still = await outage(load, last_ms, {
      begin: async () => SERVERS.forEach(nats.freeze),
      end: async () => SERVERS.forEach(nats.thaw),
    });
    await calm(load, options.events_a_second);
    const dead = await outage(load, last_ms, {
      begin: async () => void (await Promise.all(SERVERS.map(nats.kill))),
      end: async () => void (await Promise.all(SERVERS.map(nats.restart))),
    });
    await load.stop();
    return {
      ...{ still, dead },
      ...(await compareWithJournal(cluster, load)),
      wait_worst_ms: Math.max(...load.waited_ms),
      again: Object.fromEntries(load.again),
      begun_again: begunAgain(cluster),
    };
  } finally {
    await cluster.close();
  }
}

async function outage(
  load: Load,
  last_ms: number,
  { begin, end }: { begin(): Promise<void>; end(): Promise<void> },
): Promise<Outage> {
  await begin();
  const before = load.acknowledged.size;
  await pause(last_ms);
  const meanwhile = load.acknowledged.size - before;
  await end();
  const receipt_ms = await load.next();
  process.stderr.write(`NATS away for ${last_ms / 1000} s: first new receipt ${receipt_ms.toFixed(0)} ms after it\n`);
  return { meanwhile, receipt_ms };
}

async function calm(load: Load, most_waiting: number): Promise<void> {
  const until_ms = performance.now() + CALM_WITHIN_MS;
  while (load.waiting > most_waiting && performance.now() < until_ms) await pause(LOOK_MS);
}
