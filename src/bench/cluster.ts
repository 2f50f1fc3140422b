// A hub of several processes: what an event costs who leads and who follows, and how long a hub is without a leader that was killed under load.
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { NATS_SKIPPED } from '../hub/cluster/testing/nats-server.ts';
import { type BadBucket, measureBadBucket } from './bad-bucket.ts';
import { folder as folderOption, list, oneOf, type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { type Failover, measureFailover } from './failover.ts';
import { type LyingLease, measureLyingLease } from './lying-lease.ts';
import { measureOutages, type Outage, type Outages } from './outages.ts';
import { presignCpu } from './presign.ts';
import { table, valueAt, wholeNumber } from './report.ts';
import { STORES, type Store } from './s3-process.ts';
import { measureSequencing, type Sequencing } from './sequencing.ts';

const PARTS = ['sequencing', 'failover', 'outages', 'lying-lease', 'bucket', 'presign'] as const;

export const options = {
  only: list(oneOf('what is measured', PARTS, 'sequencing'), PARTS.join(',')),
  events: whole('that the leader takes as fast as it can', { from: 1000, to: 1_000_000, usual: 50_000, quick: 1000 }),
  workers: whole('of the run whose events these are', { from: 4, to: 1000, usual: 32, quick: 8 }),
  paced: whole('events a second, while a follower is watched', { from: 10, to: 10_000, usual: 1000, quick: 100 }),
  seconds: whole('of that', { from: 1, to: 600, usual: 20, quick: 2 }),
  kills: whole('of the leader, one after the other', { from: 1, to: 1000, usual: 20, quick: 1 }),
  load: whole('events a second that are handed in meanwhile', { from: 10, to: 5000, usual: 200, quick: 50 }),
  fronts: whole('processes that take them', { from: 1, to: 8, usual: 1 }),
  store: oneOf('the S3', STORES, 'double'),
  outage_seconds: whole('that NATS is away, that the lease lies, and twice as long as the bucket is bad in each way', {
    from: 1,
    to: 600,
    usual: 60,
    quick: 3,
  }),
  still_seconds: whole('that the leader stands still, once', { from: 0, to: 60, usual: 10, quick: 0 }),
  dir: folderOption('where the processes keep their copies, which are removed again'),
};

export const notes = `A real nats-server, and with --store ceph a real S3, else a double in a process of its own, which checks every signature. Sequencing: a process with nothing but the leader's
part of a hub takes the events of a run's rounds from the bus, in order, orders them, writes them into the bucket and tells them; another reads them all
from the bucket, then follows. Failover: processes of potluck hub, two that may lead and --fronts that take events, each from another key, with a
receipt that is checked; the leader is killed (SIGKILL) and started again, --kills times, then stands still (SIGSTOP) and goes on. Outages: the same processes with three NATS servers, which all stand still
for --outage-seconds, and are then all killed and started again after as long. Lying lease: two hubs' cores in this process, with a lease that both have for as long. Bucket: on the way to it requests are refused, and so on, half as long each. The receipts are held against the
journal in the bucket. On a busy machine processor time is the figure to trust; the load average stands beside what was measured.`;

/** What is asked of a hub on two cores (issue 16). */
const ASKED = {
  ...{ leader_per_cpu_s: 10_000, replay_per_cpu_s: 20_000, lag_p99_ms: 500, receipt_ms: 6000, presign_us: 100 },
} as const;
const PRESIGNS = 5000;

interface Measured {
  readonly load_average: number;
  readonly store: Store;
  readonly sequencing: Sequencing | null;
  readonly failover: Failover | null;
  readonly outages: Outages | null;
  readonly lying: LyingLease | null;
  readonly bad_bucket: BadBucket | null;
  readonly presign_us: number | null;
}

export async function run(given: Values<typeof options>): Promise<Report> {
  const wants = (part: (typeof PARTS)[number]): boolean => given.only.includes(part);
  if (NATS_SKIPPED && given.only.some((part) => part !== 'presign')) throw new BenchError('usage', NATS_SKIPPED);
  const folder = mkdtempSync(join(given.dir, 'potluck-bench-cluster-'));
  try {
    const presign_us = wants('presign') ? presignCpu(PRESIGNS) : null;
    const sequencing = wants('sequencing')
      ? await measureSequencing(folder, { ...given, paced_events: given.paced })
      : null;
    const { kills, store, outage_seconds: seconds, fronts, load: events_a_second } = given;
    const hub = { store, fronts, events_a_second };
    /** Each has a folder of its own. */
    const inFolder = <T>(part: (typeof PARTS)[number], measure: (own: string) => Promise<T>): Promise<T | null> =>
      wants(part) ? measure(mkdtempSync(join(folder, `${part}-`))) : Promise.resolve(null);
    const still_ms = given.still_seconds * 1000;
    const failover = await inFolder('failover', (own) => measureFailover(own, { ...hub, kills, still_ms }));
    const outages = await inFolder('outages', (own) => measureOutages(own, { ...hub, seconds }));
    const lying = await inFolder('lying-lease', (own) => measureLyingLease(own, store, seconds));
    const bad_bucket = await inFolder('bucket', (own) => measureBadBucket(own, { ...hub, seconds: seconds / 2 }));
    const measured = {
      load_average: loadavg()[1],
      store,
      sequencing,
      failover,
      outages,
      lying,
      bad_bucket,
      presign_us,
    };
    return { data: measured, text: textOf(measured), failure: failureOf(measured) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Times are not held against their bounds, since they depend on the machine; what was promised to somebody is. */
function failureOf({ failover, outages, lying, bad_bucket }: Measured): BenchError | null {
  for (const held of [failover, outages, bad_bucket]) {
    if (!held || held.lost + held.twice === 0) continue;
    const fact = `${held.lost} acknowledged events are lost, ${held.twice} are there twice`;
    return new BenchError('wrong-result', fact);
  }
  return lying?.violation ? new BenchError('wrong-result', lying.violation) : null;
}

type Row = readonly [what: string, measured: string, asked: string];
const ms = (value: number): string => `${wholeNumber(value)} ms`;

function sequencingRows(of: Sequencing): Row[] {
  return [
    ['leader: events a second of a core', wholeNumber(of.per_cpu_s), `≥ ${wholeNumber(ASKED.leader_per_cpu_s)}`],
    ['… a second, on this machine as it was', wholeNumber(of.per_s), ''],
    [`… a batch in the journal, p50 and p99 of ${of.batches}`, `${ms(of.batch_p50_ms)}, ${ms(of.batch_p99_ms)}`, ''],
    [
      'follower: events a second of a core, from the journal',
      wholeNumber(of.replay_per_cpu_s),
      `≥ ${wholeNumber(ASKED.replay_per_cpu_s)}`,
    ],
    [`… behind the leader at ${wholeNumber(of.paced_per_s)} a second, p50`, ms(of.lag_p50_ms), ''],
    ['… the same, p99', ms(of.lag_p99_ms), `≤ ${ASKED.lag_p99_ms} ms`],
    ['… of a core meanwhile', `${of.follower_percent.toFixed(1)} %`, ''],
  ];
}

const againText = (again: Readonly<Record<string, number>>): string =>
  Object.entries(again)
    .map(([why, count]) => `${count} ${why}`)
    .join(', ') || 'never';

function outageRows(of: Outages): Row[] {
  const rows = (what: string, { meanwhile, receipt_ms }: Outage): Row[] => [
    [`all NATS servers ${what}: acknowledged meanwhile`, wholeNumber(meanwhile), ''],
    ['… first new receipt after it', ms(receipt_ms), ''],
  ];
  return [...rows('stand still', of.still), ...rows('are dead', of.dead), ...heldRows(of)];
}

function bucketRows(of: BadBucket): Row[] {
  const { passed, ...bad } = of.requests;
  return [
    ...of.spells.flatMap(({ name, acknowledged, receipt_ms }): Row[] => [
      [`the bucket ${name}: acknowledged meanwhile`, wholeNumber(acknowledged), ''],
      ['… first new receipt after it', ms(receipt_ms), ''],
    ]),
    [`of ${wholeNumber(passed)} requests that came through:`, againText(bad), ''],
    ...heldRows(of),
    [
      '… the most memory of a process',
      of.peak_bytes === null ? 'not told' : `${wholeNumber(of.peak_bytes / 1e6)} MB`,
      '',
    ],
  ];
}

/** What both an engine's outage and a bad bucket end with. */
function heldRows(of: Outages | BadBucket): Row[] {
  return [
    [`of ${wholeNumber(of.acknowledged)} acknowledged events: lost, twice`, `${of.lost}, ${of.twice}`, '0, 0'],
    ['an event waited for its receipt, worst', ms(of.wait_worst_ms), ''],
    ['handed in again, because of', againText(of.again), ''],
    ['processes of the hub that ended and began again', wholeNumber(of.begun_again), ''],
  ];
}

function lyingRows(of: LyingLease): Row[] {
  return [
    ['both believe they lead: began to lead, found out that they do not', `${of.led}, ${of.fenced}`, ''],
    [`of ${wholeNumber(of.acknowledged)} acknowledged events: lost, twice`, `${of.lost}, ${of.doubled}`, '0, 0'],
    [`of ${wholeNumber(of.heads)} signed heads: of one tree`, of.violation ?? 'all', 'all'],
  ];
}

function failoverRows(of: Failover): Row[] {
  const { receipts_ms } = of;
  return [
    [`leader killed ${receipts_ms.length} times: first new receipt, median`, ms(valueAt(receipts_ms, 0.5)), ''],
    ['… the same, worst', ms(Math.max(...receipts_ms)), `≤ ${wholeNumber(ASKED.receipt_ms)} ms`],
    ...(of.still_ms === null ? [] : [['leader stood still: first receipt of another', ms(of.still_ms), ''] as const]),
    ...(of.follows_again === null
      ? []
      : [['… and follows when it goes on', of.follows_again ? 'yes' : 'no', 'yes'] as const]),
    [`of ${wholeNumber(of.acknowledged)} acknowledged events: lost, twice`, `${of.lost}, ${of.twice}`, '0, 0'],
    ['an event waited for its receipt, p50 and worst', `${ms(of.wait_p50_ms)}, ${ms(of.wait_worst_ms)}`, ''],
    ['handed in again, because of', againText(of.again), ''],
  ];
}

function textOf(measured: Measured): string {
  const { load_average, store, sequencing, failover, outages, lying, bad_bucket, presign_us } = measured;
  const rows = [
    ...(sequencing ? sequencingRows(sequencing) : []),
    ...(failover ? failoverRows(failover) : []),
    ...(outages ? outageRows(outages) : []),
    ...(lying ? lyingRows(lying) : []),
    ...(bad_bucket ? bucketRows(bad_bucket) : []),
    ...(presign_us === null
      ? []
      : [['a presigned upload, of processor', `${presign_us.toFixed(1)} µs`, `≤ ${ASKED.presign_us} µs`] as const]),
  ];
  const head = `a hub of several processes, store: ${store}, load average ${load_average.toFixed(1)}`;
  return table([head, 'measured', 'asked'], rows);
}
