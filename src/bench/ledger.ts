// The public log: acknowledged appends, verification of signed events, checkpoints and proofs, replay, and memory as the log grows.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';

const HELP = `npm run bench ledger [-- OPTIONS]

  --events N    the length to which the log grows, 10000 to 10000000 (default 1000000)
  --dir FOLDER  where the log is made, and removed again (default the system's folder for temporary files)
  --json FILE   the measurements as JSON; "-" for standard output instead of the table
  --quick       20000 events: shows that the bench works

One process, one thread. Entries are signed submissions of some 280 bytes by 64 peers. An append counts when its
promise has resolved: the entry is then on the disk (SQLite, WAL, synchronous FULL) and in the Merkle tree.
Rates are of wall time; beside them stands what they would be if the process had had a core to itself (CPU time),
which is the figure to compare between machines that are busy with something else.`;

const PEERS = 64;
/** Different events to sign once; the log does not mind that they return. */
const DISTINCT_EVENTS = 2_048;
const APPENDS_IN_FLIGHT = [1, 16, 256] as const;
const PROOF_TRIALS = 101;

interface Rate {
  readonly what: string;
  readonly per_s: number;
  readonly per_cpu_s: number;
}

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

/** Measures and prints. Throws BenchError `usage` for options it does not know. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const folder = mkdtempSync(join(options.dir, 'potluck-bench-ledger-'));
  try {
    const events = await makeEvents();
    const rates = [
      ...(await measureVerification(events)),
      ...(await measureAppends(folder, events, options.events / 20)),
    ];
    const { stages, replay } = await measureGrowth(join(folder, 'growing.sqlite'), events, options.events);
    const data = { event_bytes: median(events.map((event) => event.length)), rates: [...rates, replay], stages };
    if (options.json !== '-') print(data.event_bytes, data.rates, stages);
    if (options.json !== null) writeJson(options.json, data);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function optionsOf(args: string[]): { events: number; dir: string; json: string | null } | null {
  let values: { events?: string; dir?: string; json?: string; quick?: boolean; help?: boolean };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        events: { type: 'string' },
        dir: { type: 'string' },
        json: { type: 'string' },
        quick: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    throw new BenchError('usage', `ledger: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  if (values.help) return null;
  const events = values.quick ? 20_000 : Number(values.events ?? 1_000_000);
  if (!Number.isInteger(events) || events < 10_000 || events > 10_000_000) {
    throw new BenchError('usage', `--events: expected a whole number from 10000 to 10000000, got "${values.events}"`);
  }
  const dir = values.dir ?? tmpdir();
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new BenchError('usage', `--dir: expected a folder, got "${dir}"`);
  }
  return { events, dir, json: values.json ?? null };
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

/** Times `count` steps, which may be made in one call. */
async function rateOf(what: string, count: number, work: () => unknown): Promise<Rate> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { what, per_s: (count / (performance.now() - start)) * 1000, per_cpu_s: (count / (user + system)) * 1e6 };
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
    // As the hub answers: each append with its receipt, verified by whoever submitted it.
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
    // Spread over the whole log, so that most tiles are met for the first time.
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
  verifyReceipt(await log.receipt(last), event, hub); // What was timed is a proof, and not a list of hashes.
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

function print(eventBytes: number, rates: readonly Rate[], stages: readonly Stage[]): void {
  const whole = (value: number) => Math.round(value).toLocaleString('en-US');
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
  console.log(`events of ${eventBytes} bytes\n`);
  console.log(
    table(
      ['what', 'per s', 'per s of CPU'],
      rates.map(({ what, per_s, per_cpu_s }) => [what, whole(per_s), whole(per_cpu_s)]),
    ),
  );
  console.log();
  console.log(
    table(
      [
        'events in the log',
        'checkpoint + proof ms',
        'worst',
        'consistency ms',
        'reopen ms',
        'heap MiB',
        'RSS MiB',
        'file MiB',
      ],
      stages.map((stage) => [
        whole(stage.events),
        stage.checkpoint_and_proof_ms.toFixed(2),
        stage.checkpoint_and_proof_worst_ms.toFixed(2),
        stage.consistency_proof_ms.toFixed(2),
        stage.reopen_ms.toFixed(0),
        mebibytes(stage.heap_bytes),
        mebibytes(stage.rss_bytes),
        mebibytes(stage.file_bytes),
      ]),
    ),
  );
}
