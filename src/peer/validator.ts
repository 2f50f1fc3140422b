// The validator's role: judges the submissions that it was drawn for, commits to each verdict (in the log: seals it), reveals the verdicts when
// all are committed, and measures each new model on the held-out data.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import { sealOf } from '../core/rounds/judging.ts';
import { dutyOf } from '../core/rounds/panel.ts';
import { CodedError } from '../errors.ts';
import type { Verdict } from '../games/game.ts';
import { saltFor } from '../games/judging-draw.ts';
import { judgedWork, ratedWeight } from '../games/rated-weight.ts';
import type { JudgedView } from '../protocol/from-hub.ts';
import { utf8 } from '../protocol/hash.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { checkSubmission } from './check-submission.ts';
import { type ContestJuror, contestJuror } from './contest-juror.ts';
import { lateWords } from './late-words.ts';
import { openRatings, type Ratings } from './ratings.ts';
import { NOTHING_DONE, type Role, type RoleContext, roundKey } from './role.ts';
import type { SeenRun } from './round-work.ts';
import { openSampler, type Sampler } from './sampler.ts';
import { openSealedVerdicts, type SealedVerdicts } from './sealed-verdicts.ts';
import { instanceOf, isToEvaluate, type Judgement, nextToJudge, toReveal } from './validator-plan.ts';

/** Verdicts that were committed (sealed) and not revealed yet, kept across a restart. */
const KEPT = 'sealed-verdicts';

export function validatorRole(context: RoleContext): Role {
  return new Validator(context);
}

/** Acts on the decisions of validator-plan.ts. */
class Validator implements Role {
  readonly #context: RoleContext;
  readonly #kept: SealedVerdicts;
  readonly #juror: ContestJuror;
  readonly #sampler: Sampler;
  #ratings: Promise<Ratings> | null = null;
  /** The open round, and its submissions that were judged, first and in an appeal. */
  #round = '';
  readonly #judged = new Set<string>();
  /** What this validator found by re-executing all of a worker's work of this round: in an appeal it need not do so again. */
  readonly #repeated = new Map<string, Verdict>();
  /** The last model that it measured. */
  #evaluated = '';
  /** The newest view, also while it judges. */
  #newest: SeenRun | null = null;
  /** Who has submitted in a round, as far as this validator knows. */
  #handedIn: { readonly round: number; readonly workers: ReadonlySet<string> } | null = null;

  constructor(context: RoleContext) {
    this.#context = context;
    // The first submission waits for a verdict, so what judging needs is loaded in advance. If that fails, the first check fails and reports it.
    context.game.prepare?.(context.params, context.device).catch(() => {});
    const message = 'sealed verdicts cannot be read; they are judged anew';
    const onUnreadable = (): void => context.tell({ type: 'problem', code: 'bad-drawer', message });
    this.#kept = openSealedVerdicts(context.device.drawer, KEPT, onUnreadable);
    this.#juror = contestJuror(context, (error) => this.#orTell(error));
    this.#sampler = openSampler(context);
  }

  onView(view: SeenRun): void {
    this.#newest = view;
    this.#sampler.onView(view);
    if (view.handed_in.length === 0) return;
    this.#handedIn = { round: view.round, workers: new Set(view.handed_in.map(({ worker }) => worker)) };
  }

  drop(): void {}

  async act(view: SeenRun, leaving: AbortSignal): Promise<void> {
    const { identity, clock } = this.#context;
    if (roundKey(view) !== this.#round) await this.#beginRound(view);
    const begun_ms = clock.elapsed_ms();
    const next = (): Judgement | null =>
      nextToJudge(view, {
        self: identity.id,
        newest: this.#newest,
        judged: this.#judged,
        elapsed_ms: clock.elapsed_ms() - begun_ms,
      });
    const orTell = (error: unknown): void => this.#orTell(error);
    for (let work = next(); work; work = next()) {
      this.#judged.add(instanceOf(work.submission));
      await this.#judge(view, work).catch(orTell);
    }
    await this.#reveal(toReveal(view, identity.id)).catch(orTell);
    await this.#juror.act(view, leaving);
    if (isToEvaluate(view, this.#evaluated)) await this.#evaluate(view);
    this.#context.progress({ state: 'waiting', round: view.round, ...NOTHING_DONE });
  }

  async #beginRound(view: SeenRun): Promise<void> {
    this.#round = roundKey(view);
    this.#judged.clear();
    this.#repeated.clear();
    await this.#kept.keepOnly(new Set(view.submissions.map(({ id }) => id)));
    const before = this.#handedIn?.round === view.round - 1 ? this.#handedIn.workers : null;
    await (await this.#ratingsHere()).opened(view.round, before);
  }

  async #judge(view: SeenRun, { submission, time_ms }: Judgement): Promise<void> {
    const { identity, run } = this.#context;
    const { id, worker, appealed } = submission;
    const { round } = view;
    this.#context.progress({ state: 'judging', round, ...NOTHING_DONE });
    const state = await this.#context.model.follow(view);
    const ratings = await this.#ratingsHere();
    const finding = await this.#find(state, view, submission, time_ms);
    const { verdict, enclosed } = await this.#write(view, submission, finding, ratings);
    // On disk before it is sent: a committed verdict that cannot be revealed earns nothing.
    await this.#kept.put(verdict);
    const measured = judgedWork(worker, submission, finding);
    if (measured && !appealed) await ratings.measured(round, measured);
    const seal = sealOf(identity.id, verdict);
    const instance = instanceFields(submission);
    // What the verdict rests on goes with the seal: whoever comes back after it need not have it any more.
    const body = { type: 'verdict.sealed', version: 1, run, submission: id, ...instance, seal } as const;
    await this.#context.submit(body, enclosed);
    const { accepted, code } = finding;
    this.#context.tell({ type: 'judged', round, submission: id, accepted, code });
  }

  async #find(state: unknown, view: SeenRun, submission: JudgedView, time_ms: number): Promise<Verdict> {
    const { id } = submission;
    const duty = dutyOf({ ...view, ...submission, draw: view.draw! }, this.#context.identity.id);
    const finding =
      this.#repeated.get(id) ?? (await checkSubmission(this.#context, state, view, submission, { ...duty, time_ms }));
    if (duty.repeat_permille === 1000) this.#repeated.set(id, finding);
    return finding;
  }

  /** The verdict as it will be revealed, and the evidence that is still to be sent. */
  async #write(
    { rating_permille }: SeenRun,
    submission: JudgedView,
    { evidence, ...found }: Verdict,
    ratings: Ratings,
  ): Promise<{ readonly verdict: VerdictGiven; readonly enclosed: Uint8Array | null }> {
    const { identity, blobs, run } = this.#context;
    const { id, worker, appealed } = submission;
    const standing_permille = ratings.standing(worker);
    const rating = { ...ratings.records.get(worker), standing_permille, counts_permille: rating_permille };
    const published = { submission: id, validator: identity.id, ...evidence, rating };
    const { hash, enclosed } = await blobs.handOver(utf8(`${JSON.stringify(published, null, 1)}\n`));
    const verdict: VerdictGiven = {
      type: 'verdict.given',
      version: 2,
      run,
      submission: id,
      ...instanceFields(submission),
      salt: bytesToHex(await saltFor(identity, id, appealed ? 'appeal' : 'first')),
      ...found,
      weight: found.accepted ? ratedWeight(found.weight, rating_permille, standing_permille) : 0,
      evidence: hash,
    };
    return { verdict, enclosed };
  }

  async #reveal(submissions: readonly string[]): Promise<void> {
    const reveal = async (id: string): Promise<void> => {
      const verdict = await this.#kept.get(id);
      if (verdict) await this.#context.submit(verdict);
    };
    // The hub takes so many for little more than one.
    for (let from = 0; from < submissions.length; from += WIRE_LIMITS.events) {
      await Promise.all(submissions.slice(from, from + WIRE_LIMITS.events).map(reveal));
    }
  }

  async #evaluate(view: SeenRun): Promise<void> {
    const { game, params, device, run } = this.#context;
    const { model, round: merged_rounds } = view;
    this.#evaluated = model;
    const state = await this.#context.model.follow(view);
    this.#context.progress({ state: 'evaluating', round: merged_rounds, ...NOTHING_DONE });
    const measured = await game.evaluate(params, state, device);
    await this.#context.submit({ type: 'model.evaluated', version: 2, run, merged_rounds, model, measured });
    this.#context.tell({ type: 'evaluated', merged_rounds, measured });
    await this.#sampler.write(view, state);
  }

  /** A verdict came too late, or work could not be fetched: go on with the other submissions. */
  #orTell(error: unknown): void {
    if (!(error instanceof CodedError)) throw error;
    const message = lateWords(error.details.refusal, this.#handedIn?.round ?? 0) ?? error.message;
    this.#context.tell({ type: 'problem', code: error.code, message });
  }

  #ratingsHere(): Promise<Ratings> {
    this.#ratings ??= openRatings(this.#context.device.drawer);
    return this.#ratings;
  }
}

const instanceFields = ({ appealed }: JudgedView) => (appealed ? ({ appeal: true } as const) : {});
