// Auditing: events checked a second with signatures, on one core and on all, and the replay of a long log without them.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openAuditPool } from '#audit-threads';
import { openPublicLog } from '#public-log-open';
import { replayLog } from '../audit/replay.ts';
import { decodeEvent } from '../core/codec.ts';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import type { EventBody } from '../core/events.ts';
import { apply } from '../core/reduce.ts';
import { mergedList } from '../core/rounds/merged-list.ts';
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
import { folder as folderOption, type Report, type Values, whole } from './bench.ts';
import { BenchError } from './errors.ts';
import { type Rate, rateOf, table, wholeNumber } from './report.ts';

export const options = {
  events: whole('the length of the log that is replayed without signatures', {
    ...{ from: 1000, to: 10_000_000, usual: 1_000_000, quick: 20_000 },
  }),
  signed: whole('the length of the log that is audited with signatures', {
    ...{ from: 1000, to: 10_000_000, usual: 60_000, quick: 3000 },
  }),
  workers: whole('workers in each round; two validators judge each submission', { from: 1, to: 10_000, usual: 32 }),
  dir: folderOption('where the logs are made and removed again'),
};

export const notes = `The logs hold rounds as they happen: ticks, submissions, verdicts, merges, statements of shares. The real core accepts every event.
"with signatures" is all that potluck audit checks of events and tree, without the models. Rates per s of CPU count all threads
together: they are the rates of one core that does nothing else.`;

const VALIDATORS = 2;
const CHECKPOINT_EVERY = 10;
const APPEND_PAGE = 500;

interface Measured extends Rate {
  readonly events: number;
  readonly seconds: number;
}

export async function run({ events, signed, workers, dir }: Values<typeof options>): Promise<Report> {
  const folder = mkdtempSync(join(dir, 'potluck-bench-audit-'));
  try {
    const measured: Measured[] = [];
    const short = join(folder, 'signed');
    await makeLog(short, signed, workers, true);
    measured.push(await verifications(signed));
    for (const threads of [0, availableParallelism()]) {
      const what = threads === 0 ? 'audited with signatures, one thread' : `the same, ${threads} threads`;
      measured.push(await timed(what, signed, () => auditEvents(short, threads, true)));
    }
    rmSync(short, { recursive: true });

    const long = join(folder, 'long');
    const hub = await makeLog(long, events, workers, false);
    measured.push(await timed('replayed without signatures, as a hub starts', events, () => startHub(long, hub)));
    measured.push(await timed('audited without signatures', events, () => auditEvents(long, 0, false)));
    return { data: { workers, measured }, text: textOf(workers, measured) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An identity with invalid signatures, which cost nothing. */
function unsigned(identity: Identity): Identity {
  const none = new Uint8Array(64);
  return { id: identity.id, sign: async () => none };
}

/** Writes a hub's folder with a log of so many events; resolves with the hub's identity. */
export async function makeLog(
  folder: string,
  events: number,
  workers: number,
  signed: boolean,
  hub = createIdentity(),
): Promise<Identity> {
  mkdirSync(folder, { recursive: true });
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

/** The events of hub, owner, workers and validators in a run that never ends; the core accepts each of them. */
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
    version: 3,
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
    const size = { size_bytes: 12_345, amount: 23_040 + i, numbers: { steps: 30, loss_micro: 3_000_000 } };
    const body = {
      type: 'work.submitted',
      version: 2,
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
      verdicts.push([validator, exampleVerdict(run, id, body.amount, true, { score_micro: 1000 + i })]);
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
    version: 2,
    run,
    round: number,
    attempt,
    ...mergedList(accepted),
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

/** The least cost of an audit: one Ed25519 verification for each event, by the fastest implementation on this machine. */
async function verifications(count: number): Promise<Measured> {
  const identity = createIdentity();
  const message = new Uint8Array(250);
  const signature = await identity.sign(message);
  return timed('signatures verified, and nothing else', count, async () => {
    for (let i = 0; i < count; i++) verifySignature(identity.id, message, signature);
  });
}

async function startHub(folder: string, hub: Identity): Promise<void> {
  const store = openSqliteLogStore(join(folder, 'hub.sqlite'));
  openSequencer(openTransparencyLog(store, hub), hub);
  await store.close();
}

async function timed(what: string, events: number, work: () => Promise<void>): Promise<Measured> {
  const rate = await rateOf(what, events, work);
  return { ...rate, events, seconds: events / rate.per_s };
}

function textOf(workers: number, measured: readonly Measured[]): string {
  const rows = measured.map(({ what, events, seconds, per_s, per_cpu_s }) => [
    ...[what, wholeNumber(events), seconds.toFixed(1), wholeNumber(per_s), wholeNumber(per_cpu_s)],
  ]);
  const heading = `rounds of ${workers} workers and ${VALIDATORS} validators`;
  return `${heading}\n\n${table(['what', 'events', 'seconds', 'per s', 'per s of CPU'], rows)}`;
}
