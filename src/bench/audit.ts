// Auditing: events checked a second with signatures, on one core and on all, and the replay of a long log without them.

import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openAuditPool } from '#audit-threads';
import { openPublicLog } from '#public-log-open';
import { replayLog } from '../audit/replay.ts';
import { decodeEvent } from '../core/codec.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { EventBody } from '../core/events.ts';
import { apply } from '../core/reduce.ts';
import { statementOf } from '../core/shares/share-table.ts';
import { initialState, type NetworkState } from '../core/state.ts';
import { drawnBy } from '../core/testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../core/testing/example-events.ts';
import { openSequencer } from '../hub/sequencer.ts';
import { openSqliteLogStore } from '../ledger/sqlite-log-store.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { signEvent } from '../protocol/envelope.ts';
import { sha256Hex, utf8 } from '../protocol/hash.ts';
import { createIdentity, type DrawingIdentity, type Identity, verifySignature } from '../protocol/identity.ts';
import { BenchError } from './errors.ts';
import { table, writeJson } from './report.ts';

const HELP = `npm run bench audit [-- OPTIONS]

  --events N    the length of the log that is replayed without signatures (default 1000000)
  --signed N    the length of the log that is audited with signatures (default 60000)
  --workers N   workers in each round of these logs (default 32; two validators judge each submission)
  --dir FOLDER  where the logs are made, and removed again (default the system's folder for temporary files)
  --json FILE   the measurements as JSON; "-" for standard output instead of the table
  --quick       20000 and 3000 events: shows that the bench works

The logs hold rounds as they happen: ticks, submissions, verdicts, merges, statements of shares; every event follows from
the ones before by the real core. "with signatures" is all that potluck audit checks of events and tree; models are not
part of it. Rates per s of CPU are of all threads together: what one core does when nobody else is there.`;

const VALIDATORS = 2;
const CHECKPOINT_EVERY = 10;
const APPEND_PAGE = 500;

interface Measured {
  readonly what: string;
  readonly events: number;
  readonly seconds: number;
  readonly per_s: number;
  readonly per_cpu_s: number;
}

/** Measures and prints. Throws BenchError `usage` for options it does not know. */
export async function run(args: string[]): Promise<void> {
  const options = optionsOf(args);
  if (options === null) {
    console.log(HELP);
    return;
  }
  const { events, signed, workers, dir, json } = options;
  const folder = mkdtempSync(join(dir, 'potluck-bench-audit-'));
  try {
    const measured: Measured[] = [];
    const short = join(folder, 'signed');
    await makeLog(short, signed, workers, true);
    measured.push(await verifications(signed));
    for (const threads of [0, availableParallelism()]) {
      const what = threads === 0 ? 'audited with signatures, one thread' : `the same, ${threads} threads`;
      measured.push(await rateOf(what, signed, () => auditEvents(short, threads, true)));
    }
    rmSync(short, { recursive: true });

    const long = join(folder, 'long');
    const hub = await makeLog(long, events, workers, false);
    measured.push(await rateOf('replayed without signatures, as a hub starts', events, () => startHub(long, hub)));
    measured.push(await rateOf('audited without signatures', events, () => auditEvents(long, 0, false)));
    const data = { workers, measured };
    if (json !== '-') print(workers, measured);
    if (json !== null) writeJson(json, data);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function optionsOf(
  args: string[],
): { events: number; signed: number; workers: number; dir: string; json: string | null } | null {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  let values: {
    events?: string;
    signed?: string;
    workers?: string;
    dir?: string;
    json?: string;
    quick?: boolean;
    help?: boolean;
  };
  try {
    ({ values } = parseArgs({
      args,
      options: {
        events: text,
        signed: text,
        workers: text,
        dir: text,
        json: text,
        quick: flag,
        help: { ...flag, short: 'h' },
      },
    }));
  } catch (error) {
    throw new BenchError('usage', `audit: ${(error as Error).message.split('\n', 1)[0]}`);
  }
  if (values.help) return null;
  const whole = (name: string, given: string | undefined, fallback: number, min: number, max: number): number => {
    const value = Number(given ?? fallback);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new BenchError('usage', `--${name}: expected a whole number from ${min} to ${max}, got "${given}"`);
  };
  const dir = values.dir ?? tmpdir();
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory()) {
    throw new BenchError('usage', `--dir: expected a folder, got "${dir}"`);
  }
  return {
    events: whole('events', values.events, values.quick ? 20_000 : 1_000_000, 1000, 10_000_000),
    signed: whole('signed', values.signed, values.quick ? 3000 : 60_000, 1000, 10_000_000),
    workers: whole('workers', values.workers, 32, 1, 10_000),
    dir,
    json: values.json ?? null,
  };
}

/** Somebody whose signatures cost nothing and are none. */
function unsigned(identity: Identity): Identity {
  const none = new Uint8Array(64);
  return { id: identity.id, sign: async () => none };
}

/** Writes a hub's folder with a log of so many events; resolves with the hub's identity. */
async function makeLog(folder: string, events: number, workers: number, signed: boolean): Promise<Identity> {
  mkdirSync(folder, { recursive: true });
  const hub = createIdentity();
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  const log = openTransparencyLog(store, hub);
  let page: Uint8Array[] = [];
  for await (const entry of history(hub, workers, signed)) {
    page.push(entry);
    const done = log.size + page.length === events;
    if (page.length < APPEND_PAGE && !done) continue;
    await log.append(page);
    page = [];
    if (done) break;
  }
  await log.checkpoint();
  await store.close();
  return hub;
}

/** A run that never ends: what hub, owner, workers and validators write, each event allowed by the core. */
async function* history(hub: DrawingIdentity, workerCount: number, signed: boolean): AsyncGenerator<Uint8Array> {
  const state = initialState(hub.id);
  const write = async (author: Identity, body: EventBody): Promise<{ bytes: Uint8Array; id: string }> => {
    const bytes = await signEvent(signed ? author : unsigned(author), body);
    const event = decodeEvent(bytes, { verify_signature: false });
    const refusal = apply(state, event);
    if (refusal) throw new BenchError('engine-failed', `the bench's own history is refused: ${refusal.message}`);
    return { bytes, id: event.id };
  };
  const owner = createIdentity();
  const created = await write(owner, {
    type: 'run.created',
    version: 2,
    ...EXAMPLE_WORDS,
    name: 'bench',
    game: 'pretrain',
    params: sha256Hex(Uint8Array.of(1)),
    model: sha256Hex(Uint8Array.of(2)),
    rounds: 1_000_000,
    round_ms: 60_000,
    judging_ms: 20_000,
    min_workers: workerCount,
    checkpoint_every: CHECKPOINT_EVERY,
    rules: exampleRules({
      shares_per_round: 1_000_000,
      halving_rounds: 0,
      owner_permille: 180,
      workers_permille: 410,
      validators_permille: 410,
    }),
    created_ms: 1,
  });
  yield created.bytes;
  const members = (count: number) => Array.from({ length: count }, () => createIdentity());
  const workers = members(workerCount);
  const validators = members(VALIDATORS);
  const run = created.id;
  for (const [role, list] of [
    ['validator', validators],
    ['worker', workers],
  ] as const) {
    for (const [i, member] of list.entries()) {
      const device = { name: `${role} ${i}`, runtime: 'native' };
      yield (await write(member, { type: 'peer.joined', version: 1, run, session: 0, role, ...device })).bytes;
    }
  }
  for (;;) yield* round(state, run, hub, workers, validators, write);
}

type Write = (author: Identity, body: EventBody) => Promise<{ bytes: Uint8Array; id: string }>;

async function* round(
  state: NetworkState,
  run: string,
  hub: DrawingIdentity,
  workers: readonly Identity[],
  validators: readonly Identity[],
  write: Write,
): AsyncGenerator<Uint8Array> {
  const { round: number, attempt, model: base } = state.runs.get(run)!;
  yield (await write(hub, { type: 'tick', version: 1, time_ms: state.time_ms + 5000 })).bytes;
  yield (await write(hub, { type: 'round.opened', version: 1, run, round: number, attempt })).bytes;
  const accepted: string[] = [];
  const verdicts: [Identity, VerdictGiven][] = [];
  for (const [i, worker] of workers.entries()) {
    const work = sha256Hex(utf8(`${number} ${i}`));
    const size = { size_bytes: 12_345, steps: 30, tokens: 23_040 + i, loss_micro: 3_000_000 };
    const body = {
      type: 'work.submitted',
      version: 1,
      run,
      round: number,
      attempt,
      base,
      work,
      pledge: work,
      ...size,
    } as const;
    const { bytes, id } = await write(worker, body);
    yield bytes;
    accepted.push(id);
    for (const validator of validators) {
      verdicts.push([validator, exampleVerdict(run, id, body.tokens, true, { score_micro: 1000 + i })]);
    }
  }
  yield (await write(hub, drawnBy(hub, state.runs.get(run)!))).bytes;
  for (const [validator, verdict] of verdicts) yield (await write(validator, sealFor(validator.id, verdict))).bytes;
  for (const [validator, verdict] of verdicts) yield (await write(validator, verdict)).bytes;
  accepted.sort();
  const model = sha256Hex(utf8(`model ${number}`));
  const checkpoint = (number + 1) % CHECKPOINT_EVERY === 0;
  const merged = {
    type: 'round.merged',
    version: 1,
    run,
    round: number,
    attempt,
    accepted,
    model,
    bundle: model,
    checkpoint,
  } as const;
  yield (await write(hub, merged)).bytes;
  if (checkpoint) yield (await write(hub, statementOf(state.runs.get(run)!))).bytes;
}

async function auditEvents(folder: string, threads: number, verify_signatures: boolean): Promise<void> {
  const log = await openPublicLog(folder);
  const pool = await openAuditPool(folder, threads);
  try {
    await replayLog(log, { pool, verify_signatures });
  } finally {
    await pool.close();
    log.close();
  }
}

/** The floor under every audit: one Ed25519 verification an event, by the fastest implementation of this machine. */
async function verifications(count: number): Promise<Measured> {
  const identity = createIdentity();
  const message = new Uint8Array(250);
  const signature = await identity.sign(message);
  return rateOf('signatures verified, and nothing else', count, async () => {
    for (let i = 0; i < count; i++) verifySignature(identity.id, message, signature);
  });
}

async function startHub(folder: string, hub: Identity): Promise<void> {
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  openSequencer(openTransparencyLog(store, hub), hub);
  await store.close();
}

async function rateOf(what: string, events: number, work: () => Promise<void>): Promise<Measured> {
  const cpu = process.cpuUsage();
  const start = performance.now();
  await work();
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { what, events, seconds, per_s: events / seconds, per_cpu_s: events / ((user + system) / 1e6) };
}

function print(workers: number, measured: readonly Measured[]): void {
  const whole = (value: number) => Math.round(value).toLocaleString('en-US');
  console.log(`rounds of ${workers} workers and ${VALIDATORS} validators\n`);
  const rows = measured.map(({ what, events, seconds, per_s, per_cpu_s }) => [
    what,
    whole(events),
    seconds.toFixed(1),
    whole(per_s),
    whole(per_cpu_s),
  ]);
  console.log(table(['what', 'events', 'seconds', 'per s', 'per s of CPU'], rows));
}
