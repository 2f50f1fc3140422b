// The public log: acknowledged appends, verification of signed events, checkpoints and proofs, replay, and memory as the log grows.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { LogStore } from '../ledger/log-store.ts';
import { verifyReceipt } from '../ledger/receipt.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog, type TransparencyLog } from '../ledger/transparency-log.ts';
import { portableEd25519 } from '../protocol/ed25519.ts';
import { openEvent, signEvent } from '../protocol/envelope.ts';
import { createIdentity } from '../protocol/identity.ts';
import { median } from '../training/statistics.ts';
import { folder as folderOption, type Report, type Values, whole } from './bench.ts';
import { type Rate, rateOf, table, wholeNumber } from './report.ts';

export const options = {
  events: whole('the length to which the log grows', {
    ...{ from: 10_000, to: 10_000_000, usual: 1_000_000, quick: 20_000 },
  }),
  dir: folderOption('where the log is made and removed again'),
};

export const notes = `One process, one thread. Entries are signed submissions of some 280 bytes by 64 peers. An append counts when its promise has
resolved: the entry is then on the disk (SQLite, WAL, synchronous FULL) and in the Merkle tree. Rates are of wall time; beside them
stand the rates that the process would reach with a core to itself (CPU time). Compare those between machines that do other work.`;

const PEERS = 64;
/** The number of different events; the log contains each of them many times. */
const DISTINCT_EVENTS = 2_048;
const APPENDS_IN_FLIGHT = [1, 16, 256] as const;
const PROOF_TRIALS = 101;

/** What is measured at one length of the log. */
interface Stage {
  readonly events: number;
  readonly heap_bytes: number;
  readonly rss_bytes: number;
  readonly file_bytes: number;
  /** Medians and worst cases over fresh heads: append one event, then sign the head and prove a random event in it. */
  readonly checkpoint_and_proof_ms: number;
  readonly checkpoint_and_proof_worst_ms: number;
  readonly consistency_proof_ms: number;
  readonly reopen_ms: number;
}

export async function run({ events: length, dir }: Values<typeof options>): Promise<Report> {
  const folder = mkdtempSync(join(dir, 'potluck-bench-ledger-'));
  try {
    const events = await makeEvents();
    const rates = [...(await measureVerification(events)), ...(await measureAppends(folder, events, length / 20))];
    const { stages, replay } = await measureGrowth(join(folder, 'growing.sqlite'), events, length);
    const data = { event_bytes: median(events.map((event) => event.length)), rates: [...rates, replay], stages };
    return { data, text: textOf(data.event_bytes, data.rates, stages) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function makeEvents(): Promise<Uint8Array[]> {
  const peers = Array.from({ length: PEERS }, createIdentity);
  return Promise.all(
    Array.from({ length: DISTINCT_EVENTS }, (_, i) =>
      signEvent(peers[i % PEERS], {
        type: 'submission',
        version: 1,
        run: 'a'.repeat(32),
        round: i,
        update: { hash: new Uint8Array(32).fill(i), size_bytes: 14_000 + i },
        steps: 30,
        tokens: 30 * 8 * 256,
      }),
    ),
  );
}

async function measureVerification(events: readonly Uint8Array[]): Promise<Rate[]> {
  for (const event of events) openEvent(event); // Imports the keys and warms the code up.
  const all = (times: number, open: (event: Uint8Array) => unknown) => () => {
    for (let i = 0; i < times; i++) for (const event of events) open(event);
  };
  const n = events.length;
  const message = new Uint8Array(200);
  const secret = new Uint8Array(32).fill(1);
  const [key, signature] = [portableEd25519.publicKey(secret), portableEd25519.signer(secret)(message)];
  return [
    await rateOf(
      'events opened, signature verified',
      8 * n,
      all(8, (event) => openEvent(event)),
    ),
    await rateOf(
      'events opened, signature not verified',
      40 * n,
      all(40, (event) => openEvent(event, { verify_signature: false })),
    ),
    await rateOf('signatures verified without node:crypto', 400, () => {
      for (let i = 0; i < 400; i++) portableEd25519.verify(key, message, signature);
    }),
  ];
}

async function measureAppends(folder: string, events: readonly Uint8Array[], limit: number): Promise<Rate[]> {
  const rates: Rate[] = [];
  for (const inFlight of APPENDS_IN_FLIGHT) {
    const store = openSqliteLogStore(join(folder, `appends-${inFlight}.sqlite`));
    const log = openTransparencyLog(store, createIdentity());
    const count = Math.min(limit, 2_000 * inFlight);
    let next = 0;
    const appender = async () => {
      while (next < count) await log.append([events[next++ % events.length]]);
    };
    rates.push(
      await rateOf(`events appended and acknowledged, ${inFlight} at once`, count, () =>
        Promise.all(Array.from({ length: inFlight }, appender)),
      ),
    );
    // As in the hub: each append gets a receipt.
    if (inFlight === APPENDS_IN_FLIGHT[2]) {
      let receipts = 0;
      const submitter = async () => {
        while (receipts < count / 4) {
          receipts++;
          await log.receipt(await log.append([events[0]]));
        }
      };
      rates.push(
        await rateOf(`the same with a receipt for each`, count / 4, () =>
          Promise.all(Array.from({ length: inFlight }, submitter)),
        ),
      );
    }
    await store.close();
  }
  return rates;
}

async function measureGrowth(
  path: string,
  events: readonly Uint8Array[],
  limit: number,
): Promise<{ stages: Stage[]; replay: Rate }> {
  const identity = createIdentity();
  let store: LogStore = openSqliteLogStore(path);
  let log = openTransparencyLog(store, identity);
  const stages: Stage[] = [];
  const lengths = [10_000, 100_000, 1_000_000, 10_000_000].filter((length) => length < limit);
  for (const length of [...lengths, limit]) {
    while (log.size < length) {
      const count = Math.min(500, length - log.size);
      const first = log.size;
      await log.append(Array.from({ length: count }, (_, i) => events[(first + i) % events.length]));
    }
    await store.close();
    const start = performance.now();
    store = openSqliteLogStore(path);
    log = openTransparencyLog(store, identity);
    const reopen_ms = performance.now() - start;
    stages.push({
      events: length,
      reopen_ms,
      ...(await measureProofs(log, events[0], identity.id)),
      ...measureMemory(path),
    });
  }
  const replay = await rateOf('events replayed (read, hash checked, opened without signature)', log.size, () => {
    for (let from = 0; from < log.size; from += 4_096) {
      for (const bytes of log.read(from, Math.min(log.size, from + 4_096)))
        openEvent(bytes, { verify_signature: false });
    }
  });
  await store.close();
  return { stages, replay };
}

async function measureProofs(log: TransparencyLog, event: Uint8Array, hub: string) {
  const proofs: number[] = [];
  const consistency: number[] = [];
  for (let trial = 0; trial < PROOF_TRIALS; trial++) {
    await log.append([event]);
    // Spread over the whole log, so that most tiles are read for the first time.
    const index = Math.floor((trial / PROOF_TRIALS) * log.size);
    let start = performance.now();
    const { size } = await log.checkpoint();
    log.inclusionProof(index, size);
    proofs.push(performance.now() - start);
    start = performance.now();
    log.consistencyProof(index, size);
    consistency.push(performance.now() - start);
  }
  const last = log.size - 1;
  verifyReceipt(await log.receipt(last), event, hub); // Verifies that the timed proofs are valid.
  return {
    checkpoint_and_proof_ms: median(proofs),
    checkpoint_and_proof_worst_ms: Math.max(...proofs),
    consistency_proof_ms: median(consistency),
  };
}

function measureMemory(path: string) {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  collect();
  collect();
  const { heapUsed, rss } = process.memoryUsage();
  return { heap_bytes: heapUsed, rss_bytes: rss, file_bytes: statSync(path).size };
}

function textOf(event_bytes: number, rates: readonly Rate[], stages: readonly Stage[]): string {
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  const speeds = rates.map(({ what, per_s, per_cpu_s }) => [what, wholeNumber(per_s), wholeNumber(per_cpu_s)]);
  const sizes = stages.map((stage) => [
    ...[wholeNumber(stage.events), stage.checkpoint_and_proof_ms.toFixed(2)],
    ...[stage.checkpoint_and_proof_worst_ms.toFixed(2), stage.consistency_proof_ms.toFixed(2)],
    ...[stage.reopen_ms.toFixed(0), mebibytes(stage.heap_bytes), mebibytes(stage.rss_bytes)],
    mebibytes(stage.file_bytes),
  ]);
  const times = ['checkpoint + proof ms', 'worst', 'consistency ms', 'reopen ms'];
  return [
    `events of ${event_bytes} bytes`,
    table(['what', 'per s', 'per s of CPU'], speeds),
    table(['events in the log', ...times, 'heap MiB', 'RSS MiB', 'file MiB'], sizes),
  ].join('\n\n');
}
