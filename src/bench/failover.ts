// Of `bench cluster`: the leader of a hub of several processes is killed under load, again and again, and stands still once.
import { setTimeout as pause } from 'node:timers/promises';
import { openObjectJournal } from '../ledger/object-journal.ts';
import { openS3 } from '../ledger/s3/client.ts';
import { s3Objects } from '../ledger/s3/objects.ts';
import { eventId } from '../protocol/envelope.ts';
import { type Load, startLoad } from './cluster-load.ts';
import { type Cluster, startCluster } from './cluster-processes.ts';
import { BenchError } from './errors.ts';
import { valueAt } from './report.ts';
import { type Store, startS3Process } from './s3-process.ts';

export interface FailoverOptions {
  readonly store: Store;
  readonly kills: number;
  readonly events_a_second: number;
  readonly fronts: number;
  /** How long the leader stands still; 0: it is not stopped. */
  readonly still_ms: number;
}

/** Receipts, held against the journal. */
export interface HeldAgainstJournal {
  readonly acknowledged: number;
  /** Acknowledged events that are not in the journal at their index. */
  readonly lost: number;
  /** Events that are in the journal more than once. */
  readonly twice: number;
}

export interface Failover extends HeldAgainstJournal {
  /** From each kill to the first receipt of an event that was handed in after it. */
  readonly receipts_ms: readonly number[];
  /** The same for the leader that stood still; null where none did. */
  readonly still_ms: number | null;
  /** Whether it then started again by itself, and followed; null as above. */
  readonly follows_again: boolean | null;
  /** How long an event waited for its receipt: half of them, and the one that waited longest. */
  readonly wait_p50_ms: number;
  readonly wait_worst_ms: number;
  /** How often an event had to be handed in again, by why. */
  readonly again: Readonly<Record<string, number>>;
}

/** Between two kills, so that the hub is at rest: what is measured is one fail-over, not several at once. */
const CALM_MS = 1500;

export async function measureFailover(folder: string, options: FailoverOptions): Promise<Failover> {
  const cluster = await startCluster(folder, {
    sequencers: 2,
    fronts: options.fronts,
    s3: await startS3Process(options.store),
  });
  try {
    const urls = cluster.fronts.map(({ url }) => url);
    const load = startLoad(urls, cluster.hub, options.events_a_second);
    await load.next();
    const receipts_ms: number[] = [];
    for (let kill = 0; kill < options.kills; kill++) {
      const took_ms = await killLeader(cluster, load);
      receipts_ms.push(took_ms);
      process.stderr.write(`kill ${kill + 1}: first new receipt after ${took_ms.toFixed(0)} ms\n`);
    }
    const still = options.still_ms > 0 ? await holdLeader(cluster, load, options.still_ms) : null;
    await load.stop();
    return {
      ...{ receipts_ms, still_ms: still?.took_ms ?? null, follows_again: still?.follows ?? null },
      ...(await compareWithJournal(cluster, load)),
      wait_p50_ms: valueAt(load.waited_ms, 0.5),
      wait_worst_ms: Math.max(...load.waited_ms),
      again: Object.fromEntries(load.again),
    };
  } finally {
    await cluster.close();
  }
}

async function killLeader(cluster: Cluster, load: Load): Promise<number> {
  await pause(CALM_MS);
  const leader = await cluster.leader();
  leader.signal('SIGKILL');
  const took_ms = await load.next();
  await leader.restart();
  return took_ms;
}

/** Stops the leader, and lets it go on when another leads. */
async function holdLeader(
  cluster: Cluster,
  load: Load,
  still_ms: number,
): Promise<{ took_ms: number; follows: boolean }> {
  await pause(CALM_MS);
  const old = await cluster.leader();
  const { begun } = old;
  old.signal('SIGSTOP');
  const since_ms = performance.now();
  try {
    // The receipts of what the old one had in hand come as well: only a leader that is another says that it is over.
    const others = cluster.sequencers.filter((one) => one !== old);
    await cluster.leader(others);
    await load.next();
    const took_ms = performance.now() - since_ms;
    await pause(Math.max(0, still_ms - took_ms));
    old.signal('SIGCONT');
    await old.untilBegun(begun + 1);
    await load.next();
    return { took_ms, follows: (await cluster.leader()) !== old };
  } catch (error) {
    old.signal('SIGCONT');
    throw error;
  }
}

/** Reads the journal from the bucket, and holds the receipts against it. */
export async function compareWithJournal(
  { place }: Pick<Cluster, 'place'>,
  { acknowledged }: Pick<Load, 'acknowledged'>,
): Promise<HeldAgainstJournal> {
  const ids: string[] = [];
  for await (const { entries } of openObjectJournal(s3Objects(openS3(place))).read(0)) {
    for (const entry of entries) ids.push(eventId(entry));
  }
  if (ids.length < acknowledged.size) {
    throw new BenchError(
      'wrong-result',
      `${acknowledged.size} events were acknowledged, the journal has ${ids.length}`,
    );
  }
  let lost = 0;
  for (const [id, index] of acknowledged) if (ids[index] !== id) lost++;
  return { acknowledged: acknowledged.size, lost, twice: ids.length - new Set(ids).size };
}
