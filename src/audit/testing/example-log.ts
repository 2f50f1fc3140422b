// A handmade log of a whole run, for tests of audits: real keys, signatures, heads and times, and the real core.
import assert from 'node:assert/strict';
import { bytesToHex } from '@noble/hashes/utils.js';
import { decodeEvent } from '../../core/codec.ts';
import type { SeenHead } from '../../core/events/fields.ts';
import type { EventBody, LoggedEvent } from '../../core/events.ts';
import { apply } from '../../core/reduce.ts';
import { acceptedIds } from '../../core/rounds/judging.ts';
import { mergedList } from '../../core/rounds/merged-list.ts';
import { awaitsDraw } from '../../core/rounds/panel.ts';
import { mayStateShares, statementOf } from '../../core/shares/share-table.ts';
import { initialState, type NetworkState, type RunState } from '../../core/state.ts';
import { drawnBy } from '../../core/testing/example-draw.ts';
import { EXAMPLE_WORDS, exampleRules, exampleVerdict, sealFor } from '../../core/testing/example-events.ts';
import { takeApart } from '../../ledger/checkpoint.ts';
import { originOf } from '../../ledger/key-names.ts';
import { createMemoryLogStore } from '../../ledger/testing/memory-log.ts';
import { TILE_WIDTH } from '../../ledger/tiles.ts';
import { openTransparencyLog, type TransparencyLog } from '../../ledger/transparency-log.ts';
import { signEvent } from '../../protocol/envelope.ts';
import { createIdentity, type DrawingIdentity, type Identity } from '../../protocol/identity.ts';
import { type AuditOptions, type AuditReport, auditWith } from '../audit.ts';
import { inlinePool } from '../pool.ts';
import type { PublicLog } from '../public-log.ts';
import { withSeenHead } from '../seen-heads.ts';

/** An entry together with its content. */
export interface Entry {
  readonly bytes: Uint8Array;
  readonly event: LoggedEvent;
}

/** The run's settings and its first model. */
export const SETTINGS = 'a'.repeat(64);
const WORK = 'b'.repeat(64);
const START_MS = 1_790_000_000_000;
const TOKENS = 50;

export interface Person {
  readonly identity: Identity;
  /** How far this participant's clock is ahead of true time. */
  skew_ms: number;
}

/** The participants of a run and what they have written, at a true time that tests move. */
export class ExampleLog {
  readonly hub: DrawingIdentity = createIdentity();
  readonly owner: Identity;
  readonly workers: readonly Person[];
  readonly vera: Identity;
  readonly entries: Entry[] = [];
  readonly state: NetworkState;
  readonly log: TransparencyLog;
  /** True time, and how far the hub's clock is ahead of it. */
  now_ms = START_MS;
  hub_skew_ms = 0;
  run = '';
  /** Set it before the run begins: how often a model is kept whole, and its shares are stated. */
  checkpoint_every = 1000;
  readonly #seen = new Map<string, SeenHead>();

  /** @param people the log of another hub, for one with the same participants */
  constructor(workers = 3, people?: ExampleLog) {
    this.owner = people?.owner ?? createIdentity();
    this.vera = people?.vera ?? createIdentity();
    this.workers =
      people?.workers ?? Array.from({ length: workers }, () => ({ identity: createIdentity(), skew_ms: 0 }));
    this.state = initialState(this.hub.id);
    this.log = openTransparencyLog(createMemoryLogStore(), this.hub);
  }

  get open(): RunState {
    return this.state.runs.get(this.run)!;
  }

  /** Signs an event, which must be accepted, appends it, and shows its author the head. @returns its id */
  async add(author: Identity, body: EventBody): Promise<string> {
    const entry = await signed(author, withSeenHead(body, this.#seen.get(author.id)));
    const refusal = apply(this.state, entry.event);
    assert.equal(refusal, null, `${body.type}: ${refusal?.message}`);
    this.entries.push(entry);
    await this.log.append([entry.bytes]);
    if (author !== this.hub) this.#seen.set(author.id, await headOf(this.log, this.hub));
    return entry.event.id;
  }

  async tick(passed_ms = 0): Promise<void> {
    this.now_ms += passed_ms;
    const time_ms = Math.max(this.state.time_ms + 1, this.now_ms + this.hub_skew_ms);
    await this.add(this.hub, { type: 'tick', version: 1, time_ms });
  }

  /** The run is created, and everybody joins. */
  async begin(): Promise<void> {
    const emission = { shares_per_round: 1000, halving_rounds: 0, owner_permille: 100, workers_permille: 500 };
    this.run = await this.add(this.owner, {
      ...{
        type: 'run.created',
        version: 3,
        ...EXAMPLE_WORDS,
        name: 'x',
        game: 'pretrain',
        params: SETTINGS,
        model: SETTINGS,
        rounds: 500,
      },
      ...{
        round_ms: 60_000,
        judging_ms: 20_000,
        min_workers: 1,
        checkpoint_every: this.checkpoint_every,
        created_ms: this.now_ms,
      },
      rules: exampleRules({ ...emission, validators_permille: 400 }),
    });
    for (const { identity } of this.workers) await this.join(identity);
    await this.join(this.vera, 'validator');
  }

  async join(who: Identity, role: 'worker' | 'validator' = 'worker', session = 0): Promise<void> {
    const body = { version: 1, run: this.run, session, role, name: 'x', runtime: 'native-cpu' } as const;
    await this.add(who, { type: 'peer.joined', ...body });
  }

  async openRound(): Promise<void> {
    await this.tick(1000);
    const { round, attempt } = this.open;
    await this.add(this.hub, { type: 'round.opened', version: 1, run: this.run, round, attempt });
  }

  /** Half a minute of work of everybody present, judged and merged. `late_ms`: how late each worker saw the round; `made`: the model after it. */
  async playRound(late_ms: readonly number[] = [], made?: string): Promise<void> {
    await this.openRound();
    const opened_ms = this.now_ms;
    for (let i = 0; i < 6; i++) await this.tick(5000);
    const ids = [];
    for (const [i, { identity, skew_ms }] of this.workers.entries()) {
      ids.push(await this.handIn(identity, opened_ms + skew_ms + (late_ms[i] ?? 200)));
    }
    await this.judgeAndMerge(ids, true, made);
  }

  /** One submission. */
  async handIn(who: Identity, seen_ms?: number): Promise<string> {
    const { round, attempt, model } = this.open;
    const size = { size_bytes: 10, amount: TOKENS, numbers: { steps: 5, loss_micro: 1 }, pledge: WORK };
    const body = { version: 2, run: this.run, round, attempt, base: model, work: WORK, ...size } as const;
    return this.add(who, { type: 'work.submitted', ...body, ...(seen_ms === undefined ? {} : { seen_ms }) });
  }

  async judgeAndMerge(ids: readonly string[], accepted = true, made?: string): Promise<void> {
    const verdicts = ids.map((id) => exampleVerdict(this.run, id, TOKENS, accepted));
    while (!awaitsDraw(this.open, this.state.time_ms)) await this.tick(1000);
    await this.add(this.hub, drawnBy(this.hub, this.open));
    for (const verdict of verdicts) await this.add(this.vera, sealFor(this.vera.id, verdict));
    for (const verdict of verdicts) await this.add(this.vera, verdict);
    while (this.open.phase !== 'merging') await this.tick(1000);
    await this.merge(made);
  }

  async merge(made?: string): Promise<void> {
    const { round, attempt, model, spec } = this.open;
    const accepted = acceptedIds(this.state, this.open);
    const next =
      accepted.length > 0
        ? { model: made ?? (round + 16).toString(16).padStart(64, '0'), bundle: WORK }
        : { model, bundle: null };
    const checkpoint = accepted.length > 0 && (round + 1) % spec.checkpoint_every === 0;
    const body = { version: 2, run: this.run, round, attempt, ...mergedList(accepted), checkpoint } as const;
    await this.add(this.hub, { type: 'round.merged', ...body, ...next });
    if (mayStateShares(this.open)) await this.add(this.hub, statementOf(this.open));
  }
}

/** A body signed by somebody, as an entry. */
export async function signed(author: Identity, body: EventBody): Promise<Entry> {
  const bytes = await signEvent(author, body);
  return { bytes, event: decodeEvent(bytes) };
}

/** The head of a log as its peers sign it. */
export async function headOf(log: TransparencyLog, hub: Identity): Promise<SeenHead> {
  const { note } = await log.checkpoint();
  const { size, root, signature } = takeApart(note, { name: originOf(hub.id), id: hub.id });
  return { size, root: bytesToHex(root), signature: bytesToHex(signature) };
}

/** A log of these entries under a head that the hub's key has signed: what a cheating hub can make. */
export async function logOf(hub: Identity, entries: readonly Entry[]): Promise<TransparencyLog> {
  const log = openTransparencyLog(createMemoryLogStore(), hub);
  await log.append(entries.map(({ bytes }) => bytes));
  return log;
}

/** The log as others read it, at an address where nothing answers. */
export async function publicLogOf(log: TransparencyLog, cosigned: string | null = null): Promise<PublicLog> {
  const hub = log.origin.slice('potluck/'.length);
  const head = await log.checkpoint();
  return {
    ...{ where: 'http://example', hub, head, size: log.size, cosigned },
    async *pages() {
      for (let first = 0; first < log.size; first += TILE_WIDTH) {
        const count = Math.min(TILE_WIDTH, log.size - first);
        yield { first, count, bundle: log.entryBundle(first / TILE_WIDTH, count)! };
      }
    },
    tile: async (level, index, width) => log.tile(level, index, width),
    blob: async () => null,
    status: async () => null,
    close() {},
  };
}

/** Audits a log without its models. Throws AuditFailure. */
export async function auditOf(log: PublicLog, options: AuditOptions = {}): Promise<AuditReport> {
  return auditWith(inlinePool(log), log, { models: false, now_ms: START_MS + 86_400_000_000, ...options });
}
