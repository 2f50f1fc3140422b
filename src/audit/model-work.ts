// Turns the events of a log into model tasks for the threads, and collects their results.

import type { RunCreated } from '../core/events/run-created.ts';
import type { LoggedEvent } from '../core/events.ts';
import { acceptedSubmissions } from '../core/rounds/judging.ts';
import { neededBlobs } from '../core/rounds/needed-blobs.ts';
import { givesUpRound } from '../core/rounds/run-life.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { emptyReport, type ModelReport } from './model-report.ts';
import type { EvidenceTask, MergeTask, ModelTask, NamedWork } from './model-tasks.ts';
import type { AuditPool } from './pool.ts';
import { AuditFailure } from './public-log.ts';
import { arrivedWith } from './run-beginning.ts';
import { raise } from './tasks.ts';

/** How many model tasks may wait: a few rounds of the largest run, which bounds memory. */
const MODEL_TASKS_AHEAD = 32;
/** How much evidence one task checks: blobs are small, so a round of a large run takes a few tasks. */
const EVIDENCE_A_TASK = 256;
/** How many submissions without their work are remembered, and how many of them are shown to people. */
const GONE_REMEMBERED = 10_000;
const GONE_NAMED = 5;
/** How many missing blobs are remembered by name; a hub that deletes old blobs has many. */
const ABSENT_REMEMBERED = 100_000;

/** Gives the pool what the events say about models, and collects the results. */
export class ModelAudit {
  readonly report: ModelReport = emptyReport();
  readonly #pool: AuditPool;
  readonly #onModel: () => void;
  readonly #waiting = new Set<Promise<void>>();
  /** The thread that holds a run's model. */
  readonly #seats = new Map<string, number>();
  #next_seat = 0;
  /** The positions of the open rounds' submissions in the log. */
  readonly #submitted = new Map<string, Map<string, number>>();
  /** Blobs that are not kept: by hash, the event that names them. */
  readonly #absent = new Map<string, number>();
  #tasks: { task: ModelTask; run: string | null }[] = [];
  /** Evidence that verdicts have named and that is not in a task yet. */
  #evidence: EvidenceTask['named'][number][] = [];
  #failure: unknown = null;

  /** `onModel` is called when the report has grown. */
  constructor(pool: AuditPool, onModel: () => void) {
    this.#pool = pool;
    this.#onModel = onModel;
  }

  /** The task that an event will mean for the models, computed from the state before the event. */
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
    const { bundle, model, checkpoint, round, step = null, rest = null } = body;
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
      step,
      rest,
    };
    this.#tasks.push({ task: merge, run: run.id });
  }

  /** Starts the task, once the core has accepted the event. */
  async after(event: LoggedEvent, index: number, state: NetworkState): Promise<void> {
    const { body } = event;
    if (body.type === 'run.created') this.#begin(event.id, body, index);
    else if (body.type === 'run.part') this.#arrive(arrivedWith(event, state), index);
    else if (body.type === 'work.submitted') this.#submitted.get(body.run)!.set(event.id, index);
    else if (body.type === 'round.merged' || givesUpRound(body)) this.#submitted.get(body.run)!.clear();
    for (const { task, run } of this.#tasks) this.#start(task, run);
    this.#tasks = [];
    if (body.type === 'round.merged' && body.checkpoint && this.#pool.threads > 1) {
      this.#beginAt(body.run, state.runs.get(body.run)!.spec, body, index);
    }
    if (body.type === 'verdict.given') this.#evidence.push({ index, evidence: body.evidence });
    if (this.#evidence.length >= EVIDENCE_A_TASK) this.#checkEvidence();
    while (this.#waiting.size > MODEL_TASKS_AHEAD) await Promise.race(this.#waiting);
    if (this.#failure) throw this.#failure;
  }

  /** The first untruth. A model of an earlier event may turn out wrong after a later event has. */
  async earliest(found: AuditFailure): Promise<AuditFailure> {
    await Promise.all(this.#waiting);
    const failure = this.#failure;
    if (!(failure instanceof AuditFailure)) return found;
    return Number(failure.details.index) <= Number(found.details.index) ? failure : found;
  }

  /** Waits for all models, then checks which blobs the hub must still be able to serve. Throws AuditFailure, PublicLogError. */
  async finish(state: NetworkState): Promise<void> {
    for (const run of state.runs.values()) {
      const open = [...run.submissions.keys()];
      if (open.length > 0) this.#start(this.#forms(run, open, state.events - 1), null);
    }
    this.#checkEvidence();
    await Promise.all(this.#waiting);
    if (this.#failure) throw this.#failure;
    for (const run of state.runs.values()) {
      if (run.moved) continue; // what peers need, they find where it is now
      for (const [what, hash] of neededBlobs(run)) {
        const index = this.#absent.get(hash);
        if (index === undefined) continue;
        const message = `the hub does not keep blob ${hash}, ${what} of run ${run.id}, which peers need`;
        throw new AuditFailure('missing-blob', message, { index, blob: hash });
      }
    }
  }

  unchecked(): string[] {
    const { unchecked_models, unchecked_works, gone, unchecked_evidence, reason } = this.report;
    const list = [];
    if (unchecked_models > 0) list.push(`${unchecked_models} model versions: ${reason}`);
    if (unchecked_works > 0) list.push(`the form of ${unchecked_works} submissions: their blobs are not kept any more`);
    if (gone.length > 0) {
      const named = gone.slice(0, GONE_NAMED).map((id) => id.slice(0, 12));
      const more = gone.length > GONE_NAMED ? ' …' : '';
      const whose = `the verdicts on ${gone.length} ${gone.length === 1 ? 'submission that was' : 'submissions that were'} not merged`;
      list.push(`${whose}: the work is gone, so nobody can judge it again (${named.join(', ')}${more})`);
    }
    if (unchecked_evidence > 0)
      list.push(
        `the evidence of ${unchecked_evidence} ${unchecked_evidence === 1 ? 'verdict' : 'verdicts'}: it is not kept any more`,
      );
    return list;
  }

  #begin(run: string, body: RunCreated, index: number): void {
    this.#submitted.set(run, new Map());
    this.#beginAt(run, body, body, index);
  }

  /** A run that came from another log goes on from what it brought: its last model that is stored whole, and the merges since. */
  #arrive(run: RunState | null, index: number): void {
    if (!run) return;
    const { id, spec, checkpoint } = run;
    const merges = [...run.recent]; // later rounds add to it
    this.#submitted.set(id, new Map());
    this.#beginAt(id, spec, checkpoint, index);
    if (merges.length > 0) this.#start({ kind: 'recent', run: id, index, merges }, id);
  }

  /** What follows a model that is kept can be computed in parallel with what leads to it, which must arrive at the same hash. */
  #beginAt(
    run: string,
    { game, game_file, params }: Pick<RunCreated, 'game' | 'game_file' | 'params'>,
    { model, rest = null }: { readonly model: string; readonly rest?: string | null | undefined },
    index: number,
  ): void {
    this.#seats.set(run, this.#next_seat++);
    this.#start({ kind: 'run', run, index, game, game_file, params, model, rest }, run);
  }

  #checkEvidence(): void {
    if (this.#evidence.length === 0) return;
    this.#start({ kind: 'evidence', named: this.#evidence }, null);
    this.#evidence = [];
  }

  #forms(run: RunState, ids: readonly string[], index: number): ModelTask {
    const { game, game_file, params } = run.spec;
    return { kind: 'work', index, game, game_file, params, works: this.#named(run, ids) };
  }

  #named(run: RunState, ids: readonly string[]): NamedWork[] {
    return ids.map((id) => {
      const { work, size_bytes, amount: weight } = run.submissions.get(id)!.body;
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

  /** Keeps the untruth of the earliest event. An error that is not an untruth comes before all of them. */
  #fail(error: unknown): void {
    const before = this.#failure;
    const indexOf = (failure: AuditFailure) => Number(failure.details.index);
    if (before && !(before instanceof AuditFailure)) return;
    if (before && error instanceof AuditFailure && indexOf(before as AuditFailure) <= indexOf(error)) return;
    this.#failure = error;
  }

  #gather(report: ModelReport): void {
    this.report.models += report.models;
    this.report.works += report.works;
    this.report.unchecked_models += report.unchecked_models;
    this.report.unchecked_works += report.unchecked_works;
    this.report.gone.push(...report.gone.slice(0, GONE_REMEMBERED - this.report.gone.length));
    this.report.evidence += report.evidence;
    this.report.unchecked_evidence += report.unchecked_evidence;
    this.report.reason ??= report.reason;
    for (const { hash, index } of report.absent) {
      if (this.#absent.size < ABSENT_REMEMBERED && !this.#absent.has(hash)) this.#absent.set(hash, index);
    }
    this.#onModel();
  }
}
