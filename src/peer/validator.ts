// The validator's role: judges the submissions that it was drawn for, seals each verdict, shows them when all are sealed, and
// measures each new model on the held-out data.
import { bytesToHex } from '@noble/hashes/utils.js';
import type { VerdictGiven } from '../core/events/verdict-given.ts';
import { SILENT_PART } from '../core/rounds/deadlines.ts';
import { sealOf } from '../core/rounds/judging.ts';
import { dutyOf } from '../core/rounds/panel.ts';
import { CodedError } from '../errors.ts';
import type { Verdict } from '../games/game.ts';
import { saltFor } from '../games/judging-draw.ts';
import { judgedWork, ratedWeight } from '../games/rated-weight.ts';
import { utf8 } from '../protocol/hash.ts';
import type { RunView } from '../protocol/messages.ts';
import { checkSubmission, type SubmissionView } from './check-submission.ts';
import { contestJuror } from './contest-juror.ts';
import { lateWords } from './late-words.ts';
import { openRatings, type Ratings } from './ratings.ts';
import type { Role, Seat } from './role.ts';
import { openSampler } from './sampler.ts';
import { openSealedVerdicts } from './sealed-verdicts.ts';

/** Verdicts that were sealed and not shown yet, across a restart. */
const KEPT = 'sealed-verdicts';

export function validatorRole(seat: Seat): Role {
  const { game, params, blobs, model, identity } = seat;
  /** Submissions of the open round that were judged, first and in an appeal, with the round they belong to. */
  let judged = new Set<string>();
  /** What this validator found by repeating all of somebody's work of this round: an appeal need not repeat it again. */
  const repeated = new Map<string, Verdict>();
  let judgedRound = '';
  let evaluated = '';
  let opened: Promise<Ratings> | null = null;
  /** What this validator was told last, also while it judges. */
  let newest: RunView | null = null;
  /** Who has handed in for a round, as far as this validator was told. */
  let handedIn: { readonly round: number; readonly workers: ReadonlySet<string> } | null = null;
  const sampler = openSampler(seat);

  /** A verdict that comes too late, or work that cannot be fetched: the others still want their verdict. */
  const orTell = (error: unknown): void => {
    if (!(error instanceof CodedError)) throw error;
    const message = lateWords(error.details.refusal, handedIn?.round ?? 0) ?? error.message;
    seat.tell({ type: 'problem', code: error.code, message });
  };

  // Who hands in first waits for a verdict: what judging needs is loaded before.
  game.prepare?.(params, seat.device).catch(() => {});

  const kept = openSealedVerdicts(seat.device.drawer, KEPT, () =>
    seat.tell({ type: 'problem', code: 'bad-drawer', message: 'sealed verdicts cannot be read; they are judged anew' }),
  );
  const juror = contestJuror(seat, orTell);
  const ratingsHere = (): Promise<Ratings> => {
    opened ??= openRatings(seat.device.drawer);
    return opened;
  };
  const judge = async (view: RunView, submission: SubmissionView, time_ms: number): Promise<void> => {
    seat.progress({ state: 'judging', round: view.round, steps: submission.steps, loss: 0, tokens_per_second: 0 });
    const state = await model.follow(view);
    const { worker } = submission;
    const ratings = await ratingsHere();
    const { id, appealed } = submission;
    const duty = dutyOf({ ...view, ...submission, draw: view.draw! }, identity.id);
    const finding = repeated.get(id) ?? (await checkSubmission(seat, state, view, submission, { ...duty, time_ms }));
    if (duty.repeat_permille === 1000) repeated.set(id, finding);
    const { evidence, ...found } = finding;
    const standing_permille = ratings.standing(worker);
    const rating = { ...ratings.records.get(worker), standing_permille, counts_permille: view.rating_permille };
    const published = { submission: submission.id, validator: identity.id, ...evidence, rating };
    const weight = found.accepted ? ratedWeight(found.weight, view.rating_permille, standing_permille) : 0;
    const instance = appealed ? ({ appeal: true } as const) : {};
    const verdict: VerdictGiven = {
      type: 'verdict.given',
      version: 1,
      run: seat.run,
      submission: id,
      ...instance,
      salt: bytesToHex(await saltFor(identity, id, appealed ? 'appeal' : 'first')),
      ...found,
      weight,
      evidence: await blobs.upload(utf8(`${JSON.stringify(published, null, 1)}\n`)),
    };
    // On disk before anybody hears of it: a sealed verdict that cannot be shown earns nothing.
    await kept.put(verdict);
    const measured = judgedWork(worker, submission, { ...found, evidence });
    if (measured && !appealed) await ratings.measured(view.round, measured);
    const seal = sealOf(identity.id, verdict);
    await seat.submit({ type: 'verdict.sealed', version: 1, run: seat.run, submission: id, ...instance, seal });
    seat.tell({
      type: 'judged',
      round: view.round,
      submission: submission.id,
      accepted: found.accepted,
      code: found.code,
    });
  };

  /** Shows what the log says this validator has sealed. */
  const show = async (view: RunView): Promise<void> => {
    for (const { id, sealed, shown } of view.submissions) {
      const verdict = await kept.get(id);
      if (!verdict || !sealed.includes(identity.id) || shown.includes(identity.id)) continue;
      await seat.submit(verdict);
    }
  };

  const evaluate = async (view: RunView): Promise<void> => {
    evaluated = view.model;
    const state = await model.follow(view);
    seat.progress({ state: 'evaluating', round: view.round, steps: 0, loss: 0, tokens_per_second: 0 });
    const { loss_micro, tokens } = await game.evaluate(params, state, seat.device);
    const merged_rounds = view.round;
    const { run } = seat;
    await seat.submit({
      type: 'model.evaluated',
      version: 1,
      run,
      merged_rounds,
      model: view.model,
      loss_micro,
      tokens,
    });
    seat.tell({ type: 'evaluated', merged_rounds, loss: loss_micro / 1e6 });
    await sampler.write(view, state);
  };

  return {
    glance(view) {
      newest = view;
      sampler.glance(view);
      if (view.submissions.length > 0) {
        handedIn = { round: view.round, workers: new Set(view.submissions.map(({ worker }) => worker)) };
      }
    },
    drop() {},
    async act(view, leaving) {
      const roundKey = `${view.round}.${view.attempt}.${view.model}`;
      if (roundKey !== judgedRound) {
        judged = new Set();
        repeated.clear();
        judgedRound = roundKey;
        await kept.keepOnly(new Set(view.submissions.map(({ id }) => id)));
        await (await ratingsHere()).opened(view.round, handedIn?.round === view.round - 1 ? handedIn.workers : null);
      }
      if (view.phase === 'judging' && view.draw !== null) {
        const begun_ms = seat.clock.elapsed_ms();
        const waiting = view.submissions.filter(
          ({ judges, sealed, ...work }) =>
            judges.includes(identity.id) && !sealed.includes(identity.id) && !judged.has(instanceOf(work)),
        );
        for (const [i, submission] of waiting.entries()) {
          // Who was too slow has made room, or the round went on.
          const present = newest?.submissions.find(({ id }) => id === submission.id);
          if (present && !present.judges.includes(identity.id)) continue;
          judged.add(instanceOf(submission));
          const left_ms = judgingTimeLeft(view, submission) - (seat.clock.elapsed_ms() - begun_ms);
          await judge(view, submission, (left_ms * USED_PART) / (waiting.length - i)).catch(orTell);
        }
      }
      if (view.phase === 'revealing') await show(view).catch(orTell);
      await juror.act(view, leaving);
      const busy = view.phase === 'judging' || view.phase === 'revealing' || view.phase === 'merging';
      if (!busy && evaluated !== view.model) await evaluate(view);
      seat.progress({ state: 'waiting', round: view.round, steps: 0, loss: 0, tokens_per_second: 0 });
    },
  };
}

const instanceOf = ({ id, appealed }: Pick<SubmissionView, 'id' | 'appealed'>): string => `${id} ${appealed}`;

/** The part of the time left that checks may take; the rest is for sending. */
const USED_PART = 0.7;

/** What is left for judging, the whole time before it has been timed: until who keeps silent makes room, if it is not over or there is no other. */
function judgingTimeLeft({ remaining_ms, judging_ms }: RunView, { appealed }: SubmissionView): number {
  const left_ms = remaining_ms || judging_ms;
  const first_ms = left_ms - Math.floor(judging_ms / SILENT_PART);
  return first_ms > 0 && !appealed ? first_ms : left_ms;
}
