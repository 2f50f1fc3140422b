// What a bucket costs a hub: the processor time of presigning an upload, and how long a batch of the journal takes to be there.

import { type Batch, EMPTY_JOURNAL, endAfter } from '../ledger/journal.ts';
import { openObjectJournal } from '../ledger/object-journal.ts';
import { openS3, type S3 } from '../ledger/s3/client.ts';
import { s3Objects } from '../ledger/s3/objects.ts';
import { cephMissing, startCephRgw } from '../ledger/testing/ceph-rgw.ts';
import { startS3Double } from '../ledger/testing/s3-double.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { type Report, type Values, whole } from './bench.ts';
import { table, valueAt } from './report.ts';

export const options = {
  presigns: whole('addresses signed in each of five rounds', { from: 100, to: 1e6, usual: 20_000, quick: 2_000 }),
  batches: whole('batches of each size', { from: 10, to: 10_000, usual: 100, quick: 20 }),
};

export const notes = `Presigning is timed as processor time of this process, an upload each of another blob, five rounds, the median. Batches go one after the other, as a
hub's do, to a double in this process and to Ceph's gateway with its store in memory on this machine (Debian: radosgw ceph-mon ceph-osd); a store
elsewhere adds its network and its disks. The client's processor time is told for Ceph only: the double takes its own in this process.`;

const ROUNDS = 5;
/** One event, a busy second of a large hub, and a full second of a very large one. */
const BATCH_ENTRIES = [1, 200, 2_000];
const ENTRY_BYTES = 300;

interface Batches {
  readonly store: string;
  readonly entries: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  /** null where the store is in this process. */
  readonly client_us: number | null;
}

export async function run({ presigns, batches }: Values<typeof options>): Promise<Report> {
  const presign_us = presignCpu(presigns);
  const rows: Batches[] = [];
  const double = await startS3Double();
  try {
    const s3 = openS3({ ...double, url: `${double.url}/${double.bucket}` });
    for (const entries of BATCH_ENTRIES) rows.push(await journalBatches('double', s3, entries, batches));
  } finally {
    await double.stop();
  }
  const missing = cephMissing();
  if (!missing) {
    const ceph = await startCephRgw();
    try {
      const s3 = openS3({ ...ceph, url: `${ceph.url}/pot` });
      await s3.ofBucket('PUT', '');
      for (const entries of BATCH_ENTRIES) rows.push(await journalBatches('Ceph', s3, entries, batches));
    } finally {
      await ceph.stop();
    }
  }
  return { data: { presign_us, batches: rows, without: missing || null }, text: textOf(presign_us, rows, missing) };
}

/** Microseconds of processor for a presigned upload; the median of five rounds. */
export function presignCpu(presigns: number): number {
  const s3 = openS3({
    url: 'https://s3.example.org/pot',
    access_key_id: 'a'.repeat(20),
    secret_access_key: 's'.repeat(40),
  });
  const hashes = Array.from({ length: presigns }, (_, i) => sha256Hex(utf8(`blob ${i}`)));
  const rounds = Array.from({ length: ROUNDS }, () => {
    const before = process.cpuUsage();
    for (const hash of hashes) s3.presignPut(`blobs/${hash}`, hash, 1_000_000, 300);
    return cpuUs(before) / presigns;
  });
  return valueAt(rounds, 0.5);
}

/** Appends so many batches, one after the other, to a journal of their own. */
export async function journalBatches(store: string, s3: S3, entries: number, batches: number): Promise<Batches> {
  const under = `bench-${entries}-${Date.now()}/`;
  const { create, get } = s3Objects(s3);
  const journal = openObjectJournal({
    create: (name, bytes) => create(under + name, bytes),
    get: (name) => get(under + name),
  });
  let end = EMPTY_JOURNAL;
  const took_ms: number[] = [];
  const before = process.cpuUsage();
  for (let i = 0; i < batches; i++) {
    const batch: Batch = {
      ...end,
      entries: Array.from({ length: entries }, () => new Uint8Array(ENTRY_BYTES).fill(i + 1)),
    };
    const begun_ms = performance.now();
    await journal.append(batch);
    took_ms.push(performance.now() - begun_ms);
    end = endAfter(batch);
  }
  const client_us = store === 'double' ? null : cpuUs(before) / batches;
  return { store, entries, p50_ms: valueAt(took_ms, 0.5), p99_ms: valueAt(took_ms, 0.99), client_us };
}

function cpuUs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function textOf(presign_us: number, rows: readonly Batches[], missing: string | false): string {
  const cells = rows.map(({ store, entries, p50_ms, p99_ms, client_us }) => [
    `${store}, ${entries} ${entries === 1 ? 'event' : 'events'} of ${ENTRY_BYTES} B`,
    `${p50_ms.toFixed(1)} ms`,
    `${p99_ms.toFixed(1)} ms`,
    client_us === null ? '–' : `${Math.round(client_us)} µs`,
  ]);
  return [
    `a presigned upload: ${presign_us.toFixed(1)} µs of processor`,
    '',
    table(['a batch of the journal', 'p50', 'p99', 'client'], cells),
    ...(missing ? ['', `without Ceph: ${missing}`] : []),
  ].join('\n');
}
