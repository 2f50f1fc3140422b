// Checks everything that a hub claims: its log event by event, receipts at hand, shares, and from the blobs every model version.

import { bytesToHex } from '@noble/hashes/utils.js';
import type { LoggedEvent, RunCreated } from '../core/events.ts';
import { acceptedSubmissions } from '../core/judging.ts';
import { neededBlobs } from '../core/needed-blobs.ts';
import { givesUpRound } from '../core/run-life.ts';
import { mayStateShares } from '../core/share-table.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { stateHash } from '../core/state-bytes.ts';
import { clockAhead } from '../protocol/clock.ts';
import { RunStatusSchema } from '../protocol/messages.ts';
import {
  type EvidenceTask,
  emptyReport,
  type MergeTask,
  type ModelReport,
  type ModelTask,
  type NamedWork,
} from './audit-models.ts';
import type { AuditPool } from './audit-pool.ts';
import type { ReceiptBook } from './audit-receipts.ts';
import { replayLog } from './audit-replay.ts';
import { raise } from './audit-tasks.ts';
import { type PublicLog, Untruth } from './public-log.ts';

/** Model tasks that may wait: a few rounds of the largest run, and no more in memory. */
const MODEL_TASKS_AHEAD = 32;
/** Pieces of evidence in one task: small blobs, a round of a large run in a few tasks. */
const EVIDENCE_A_TASK = 256;
/** Absent blobs that are remembered by name; a hub that compacts has no use for more. */
const ABSENT_REMEMBERED = 100_000;

export interface AuditOptions {
  /** The receipts that somebody has. */
  readonly receipts?: ReceiptBook;
  /** Recompute model versions from the blobs (default true). */
  readonly models?: boolean;
  readonly now_ms?: number;
  readonly onProgress?: (progress: { events: number; size: number; models: number }) => void;
}

/** What was checked. Whatever is untrue is thrown instead. */
export interface AuditReport {
  readonly hub: string;
  readonly where: string;
  /** The entries under the hub's signature; null where it has signed nothing yet. */
  readonly signed_size: number | null;
  readonly root: string;
  readonly events: number;
  /** Events after the signed head. */
  readonly unsigned_events: number;
  readonly tiles: number;
  readonly receipts: number | null;
  readonly runs: number;
  /** SHA-256 of the state after the last event: whoever replays the same log on whatever machine gets the same. */
  readonly state_hash: string;
  readonly shares: { readonly emitted: number; readonly held: number; readonly unearned: number };
  readonly models: { readonly recomputed: number; readonly submissions: number } | null;
  /** Verdicts whose evidence is kept and has the hash that they name. */
  readonly evidence: number | null;
  /** What the hub tells visitors was compared with its log. */
  readonly status_compared: boolean;
  /** What is no untruth and yet worth a look, in sentences. */
  readonly warnings: readonly string[];
  /** What could not be checked, in sentences. Empty: everything was. */
  readonly unchecked: readonly string[];
  readonly seconds: number;
  readonly events_per_second: number;
  readonly threads: number;
}

/** Audits a log; the pool does the work, and stays open. Throws Untruth at the first thing that is not true, PublicLogError where the log cannot be read. */
export async function auditWith(pool: AuditPool, log: PublicLog, options: AuditOptions = {}): Promise<AuditReport> {
  const started_ms = performance.now();
  const now_ms = options.now_ms ?? Date.now();
  const { onProgress, receipts } = options;
  let checked = { events: 0, size: log.size };
  const tell = (): void => onProgress?.({ ...checked, models: models?.report.models ?? 0 });
  const models = options.models === false ? null : new ModelAudit(pool, tell);
  const replay = replayLog(log, {
    pool,
    receipts,
    before: (event, index, state) => models?.before(event, index, state),
    after: (event, index, state) => models?.after(event, index, state),
    onProgress(events, size) {
      checked = { events, size };
      tell();
    },
  });
  const { state, root, tiles, unsigned_events } = await replay.catch(async (error) => {
    throw models && error instanceof Untruth ? await models.earliest(error) : error;
  });
  const events_s = (performance.now() - started_ms) / 1000;
  await models?.finish(state);
  const shares = sumShares(state);
  const status_compared = compareStatus(await log.status(), state);
  return {
    hub: log.hub,
    where: log.where,
    signed_size: log.head?.size ?? null,
    root: bytesToHex(root),
    events: state.events,
    unsigned_events,
    tiles,
    receipts: receipts?.count ?? null,
    runs: state.runs.size,
    state_hash: stateHash(state),
    shares,
    models: models && { recomputed: models.report.models, submissions: models.report.works },
    evidence: models ? models.report.evidence : null,
    status_compared,
    warnings: [clockAhead(state.time_ms, now_ms)].filter((warning) => warning !== null),
    unchecked: [
      ...uncheckedOfLog(log, unsigned_events),
      ...(receipts?.cut_line ? [`line ${receipts.cut_line} of the receipts: a crash has cut it short`] : []),
      ...unstatedShares(state),
      ...(models?.unchecked() ?? ['model versions (not asked for)']),
    ],
    seconds: (performance.now() - started_ms) / 1000,
    events_per_second: Math.round(state.events / events_s),
    threads: pool.threads,
  };
}

/** Gives the pool what the events say about models, and gathers what comes back. */
class ModelAudit {
  readonly report: ModelReport = emptyReport();
  readonly #pool: AuditPool;
  readonly #onModel: () => void;
  readonly #waiting = new Set<Promise<void>>();
  /** Which thread holds a run's model. */
  readonly #seats = new Map<string, number>();
  #next_seat = 0;
  /** Where the submissions of open rounds stand in the log. */
  readonly #submitted = new Map<string, Map<string, number>>();
  /** Blobs that are not kept: by hash, the event that names them. */
  readonly #absent = new Map<string, number>();
  #tasks: { task: ModelTask; run: string | null }[] = [];
  /** Evidence that verdicts have named and that no task has yet. */
  #evidence: EvidenceTask['named'][number][] = [];
  #failure: unknown = null;

  /** `onModel` hears when the report has grown. */
  constructor(pool: AuditPool, onModel: () => void) {
    this.#pool = pool;
    this.#onModel = onModel;
  }

  /** What an event will mean for the models, read from the state that it meets. */
  before({ body }: LoggedEvent, index: number, state: NetworkState): void {
    this.#tasks = [];
    if (body.type !== 'round.merged' && !givesUpRound(body)) return;
    const run = state.runs.get(body.run);
    if (!run) return;
    const accepted =
      body.type === 'round.merged' ? acceptedSubmissions(state, run).map(({ submission }) => submission) : [];
    const merged = new Set(accepted.map(({ id }) => id));
    const others = [...run.submissions.keys()].filter((id) => !merged.has(id));
    if (others.length > 0) this.#tasks.push({ task: this.#forms(run, others, index), run: null });
    if (body.type !== 'round.merged' || body.bundle === null) return;
    const { bundle, model, checkpoint, round } = body;
    const works = this.#named(
      run,
      accepted.map(({ id }) => id),
    );
    const merge: MergeTask = {
      kind: 'merge',
      run: run.id,
      index,
      round,
      parent: run.model,
      works,
      bundle,
      model,
      checkpoint,
    };
    this.#tasks.push({ task: merge, run: run.id });
  }

  /** Starts it, now that the core has allowed the event. */
  async after(event: LoggedEvent, index: number, state: NetworkState): Promise<void> {
    const { body } = event;
    if (body.type === 'run.created') this.#begin(event.id, body, index);
    else if (body.type === 'work.submitted') this.#submitted.get(body.run)!.set(event.id, index);
    else if (body.type === 'round.merged' || givesUpRound(body)) this.#submitted.get(body.run)!.clear();
    for (const { task, run } of this.#tasks) this.#start(task, run);
    this.#tasks = [];
    if (body.type === 'round.merged' && body.checkpoint && this.#pool.threads > 1) {
      this.#beginAt(body.run, state.runs.get(body.run)!.spec, body.model, index);
    }
    if (body.type === 'verdict.given') this.#evidence.push({ index, evidence: body.evidence });
    if (this.#evidence.length >= EVIDENCE_A_TASK) this.#checkEvidence();
    while (this.#waiting.size > MODEL_TASKS_AHEAD) await Promise.race(this.#waiting);
    if (this.#failure) throw this.#failure;
  }

  /** The first untruth: a model of an earlier event may turn out wrong while a later event already has. */
  async earliest(found: Untruth): Promise<Untruth> {
    await Promise.all(this.#waiting);
    const failure = this.#failure;
    if (!(failure instanceof Untruth)) return found;
    return Number(failure.details.index) <= Number(found.details.index) ? failure : found;
  }

  /** Waits for all models, then asks what the hub must still be able to serve. Throws Untruth, PublicLogError. */
  async finish(state: NetworkState): Promise<void> {
    for (const run of state.runs.values()) {
      const open = [...run.submissions.keys()];
      if (open.length > 0) this.#start(this.#forms(run, open, state.events - 1), null);
    }
    this.#checkEvidence();
    await Promise.all(this.#waiting);
    if (this.#failure) throw this.#failure;
    for (const run of state.runs.values()) {
      for (const [what, hash] of neededBlobs(run)) {
        const index = this.#absent.get(hash);
        if (index === undefined) continue;
        const message = `the hub does not keep blob ${hash}, ${what} of run ${run.id}, which peers need`;
        throw new Untruth('missing-blob', message, { index, blob: hash });
      }
    }
  }

  unchecked(): string[] {
    const { unchecked_models, unchecked_works, unchecked_evidence, reason } = this.report;
    const list = [];
    if (unchecked_models > 0) list.push(`${unchecked_models} model versions: ${reason}`);
    if (unchecked_works > 0) list.push(`the form of ${unchecked_works} submissions: their blobs are not kept any more`);
    if (unchecked_evidence > 0)
      list.push(
        `the evidence of ${unchecked_evidence} ${unchecked_evidence === 1 ? 'verdict' : 'verdicts'}: it is not kept any more`,
      );
    return list;
  }

  #begin(run: string, body: RunCreated, index: number): void {
    this.#submitted.set(run, new Map());
    this.#beginAt(run, body, body.model, index);
  }

  /** What follows a model that is kept can be computed beside what leads to it, which has to arrive at the same hash. */
  #beginAt(run: string, { game, params }: Pick<RunCreated, 'game' | 'params'>, model: string, index: number): void {
    this.#seats.set(run, this.#next_seat++);
    this.#start({ kind: 'run', run, index, game, params, model }, run);
  }

  #checkEvidence(): void {
    if (this.#evidence.length === 0) return;
    this.#start({ kind: 'evidence', named: this.#evidence }, null);
    this.#evidence = [];
  }

  #forms(run: RunState, ids: readonly string[], index: number): ModelTask {
    return { kind: 'work', index, game: run.spec.game, params: run.spec.params, works: this.#named(run, ids) };
  }

  #named(run: RunState, ids: readonly string[]): NamedWork[] {
    return ids.map((id) => {
      const { work, size_bytes, steps: weight } = run.submissions.get(id)!.body;
      return { index: this.#submitted.get(run.id)!.get(id)!, event: id, work, size_bytes, weight };
    });
  }

  #start(task: ModelTask, run: string | null): void {
    const done: Promise<void> = this.#pool
      .run(task, run === null ? undefined : this.#seats.get(run))
      .then((reply) => this.#gather((raise(reply) as { model: ModelReport }).model))
      .catch((error) => this.#fail(error))
      .finally(() => this.#waiting.delete(done));
    this.#waiting.add(done);
  }

  /** Keeps the untruth of the earliest event; what is no untruth comes before all of them. */
  #fail(error: unknown): void {
    const before = this.#failure;
    const indexOf = (untruth: Untruth) => Number(untruth.details.index);
    if (before && !(before instanceof Untruth)) return;
    if (before && error instanceof Untruth && indexOf(before as Untruth) <= indexOf(error)) return;
    this.#failure = error;
  }

  #gather(report: ModelReport): void {
    this.report.models += report.models;
    this.report.works += report.works;
    this.report.unchecked_models += report.unchecked_models;
    this.report.unchecked_works += report.unchecked_works;
    this.report.evidence += report.evidence;
    this.report.unchecked_evidence += report.unchecked_evidence;
    this.report.reason ??= report.reason;
    for (const { hash, index } of report.absent) {
      if (this.#absent.size < ABSENT_REMEMBERED && !this.#absent.has(hash)) this.#absent.set(hash, index);
    }
    this.#onModel();
  }
}

/** The shares of all runs. That they add up was checked with every state that a merge left (audit-replay.ts). */
function sumShares(state: NetworkState): { emitted: number; held: number; unearned: number } {
  let [emitted, held, unearned] = [0, 0, 0];
  for (const run of state.runs.values()) {
    emitted += run.emitted_shares;
    for (const shares of run.shares.values()) held += shares;
    unearned += run.unearned_shares;
  }
  return { emitted, held, unearned };
}

/** Compares what a hub shows with its log, where both speak of the same moment. Throws Untruth `wrong-status`. */
function compareStatus(status: unknown, state: NetworkState): boolean {
  const runs = (status as { runs?: unknown } | null)?.runs;
  if (!Array.isArray(runs)) return false;
  let compared = false;
  for (const shown of runs) {
    const parsed = RunStatusSchema.safeParse(shown);
    const run = parsed.success ? state.runs.get(parsed.data.run) : undefined;
    if (!parsed.success || !run) continue;
    const { round, attempt, model, merged_tokens, peers } = parsed.data;
    if (round !== run.round || attempt !== run.attempt) continue; // the hub has gone on meanwhile
    compared = true;
    const differ = (what: string, said: unknown, logged: unknown) => {
      if (said === logged) return;
      const message = `the hub shows ${said} as ${what} of run ${run.id}, its log says ${logged}`;
      throw new Untruth('wrong-status', message, { run: run.id });
    };
    differ('model', model, run.model);
    differ('merged tokens', merged_tokens, run.merged_tokens);
    for (const peer of peers)
      differ(`tokens of ${peer.id}`, peer.credit_tokens, run.peers.get(peer.id)?.credit_tokens ?? 0);
  }
  return compared;
}

/** A hub that goes on without stating the shares is refused by the core; one that stopped there may still state them. */
function unstatedShares(state: NetworkState): string[] {
  return [...state.runs.values()]
    .filter(mayStateShares)
    .map(({ id, model }) => `the shares of run ${id} at model ${model}: the hub has not stated them yet`);
}

function uncheckedOfLog(log: PublicLog, unsigned_events: number): string[] {
  if (!log.head) return ['the tree: the hub has signed no checkpoint yet'];
  if (unsigned_events === 0) return [];
  return [`the place of the last ${unsigned_events} events: the hub has not signed a checkpoint over them yet`];
}
