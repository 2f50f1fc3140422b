// Of `bench cluster`: the bucket of a hub of several processes refuses requests, then all, then is slow, then loses answers, while events are handed in.
// No event is acknowledged that is not in the journal, and none is there twice.
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { type BadWay, FAIR, openBadWay, type Weather } from './bad-way.ts';
import { startLoad } from './cluster-load.ts';
import { begunAgain, type Cluster, startCluster } from './cluster-processes.ts';
import { compareWithJournal, type HeldAgainstJournal } from './failover.ts';
import { type Store, startS3Process } from './s3-process.ts';

export interface BadBucketOptions {
  readonly store: Store;
  /** How long each weather lasts. */
  readonly seconds: number;
  readonly events_a_second: number;
  readonly fronts: number;
}

/** What came of the events while the bucket was so. */
export interface Spell {
  readonly name: string;
  readonly acknowledged: number;
  /** From its end to the first receipt of an event that was handed in after it. */
  readonly receipt_ms: number;
}

export interface BadBucket extends HeldAgainstJournal {
  readonly spells: readonly Spell[];
  readonly requests: BadWay['counts'];
  readonly wait_worst_ms: number;
  readonly again: Readonly<Record<string, number>>;
  /** The most memory that a process of the hub had; null where the system does not tell. */
  readonly peak_bytes: number | null;
  readonly begun_again: number;
}

/** Rows 6 and 7 of the failures that must be survived. */
const SPELLS: readonly (readonly [string, Partial<Weather>])[] = [
  ['refuses a fifth of all requests', { refused_percent: 20 }],
  ['refuses all', { refused_percent: 100 }],
  ['takes 5 s for each PUT', { put_ms: 5000 }],
  [
    'loses 15 % of answers, takes 10 % twice, tells 10 % of a conflict',
    { lost_percent: 15, twice_percent: 10, conflict_percent: 10 },
  ],
];

export async function measureBadBucket(folder: string, options: BadBucketOptions): Promise<BadBucket> {
  const s3 = await startS3Process(options.store);
  const way = await openBadWay(s3.place);
  const cluster = await startCluster(folder, { sequencers: 2, fronts: options.fronts, s3: { ...way, close: both } });
  async function both(): Promise<void> {
    await way.close();
    await s3.close();
  }
  try {
    const load = startLoad(
      cluster.fronts.map(({ url }) => url),
      cluster.hub,
      options.events_a_second,
    );
    await load.next();
    const spells: Spell[] = [];
    for (const [name, weather] of SPELLS) {
      const before = load.acknowledged.size;
      way.turn({ ...FAIR, ...weather });
      await pause(options.seconds * 1000);
      const acknowledged = load.acknowledged.size - before;
      way.turn(FAIR);
      const receipt_ms = await load.next();
      spells.push({ name, acknowledged, receipt_ms });
      process.stderr.write(
        `the bucket ${name}: ${acknowledged} acknowledged, then the first after ${receipt_ms.toFixed(0)} ms\n`,
      );
    }
    await load.stop();
    return {
      ...{ spells, requests: { ...way.counts } },
      ...(await compareWithJournal(cluster, load)),
      wait_worst_ms: Math.max(...load.waited_ms),
      again: Object.fromEntries(load.again),
      peak_bytes: peakOf(cluster),
      begun_again: begunAgain(cluster),
    };
  } finally {
    await cluster.close();
  }
}

/** A process that has started anew says what it has had since then. */
function peakOf({ sequencers, fronts }: Cluster): number | null {
  if (process.platform !== 'linux') return null;
  const peaks_kb = [...sequencers, ...fronts].map((one) => {
    const status = readFileSync(`/proc/${one.pid()}/status`, 'utf8');
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)![1]);
  });
  return Math.max(...peaks_kb) * 1024;
}
