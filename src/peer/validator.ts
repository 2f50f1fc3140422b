// The validator's role: judges every submission as it comes in, and measures each new model on the held-out data.
import { CodedError } from '../errors.ts';
import type { RunView } from '../protocol/messages.ts';
import { PeerError } from './errors.ts';
import { type Role, roundOf, type Seat } from './role.ts';

export function validatorRole(seat: Seat): Role {
  const { game, params, blobs, model } = seat;
  /** Submissions of the open round that were judged, with the round they belong to. */
  let judged = new Set<string>();
  let judgedRound = '';
  let evaluated = '';

  const judge = async (view: RunView, submission: RunView['submissions'][number]): Promise<void> => {
    seat.progress({ state: 'judging', round: view.round, steps: submission.steps, loss: 0, tokens_per_second: 0 });
    const state = await model.follow(view);
    const task = game.task(params, roundOf(view), submission.worker, state);
    const work = await blobs.fetch(submission.work);
    const { steps, tokens } = submission;
    const verdict = await game.check(task, { work, steps, tokens, loss_micro: 0 }, seat.device);
    await seat.submit({ type: 'verdict.given', version: 1, run: seat.run, submission: submission.id, ...verdict });
    seat.tell({ type: 'judged', round: view.round, accepted: verdict.accepted, code: verdict.code });
  };

  const evaluate = async (view: RunView): Promise<void> => {
    evaluated = view.model;
    const state = await model.follow(view);
    seat.progress({ state: 'evaluating', round: view.round, steps: 0, loss: 0, tokens_per_second: 0 });
    const { loss_micro, tokens } = await game.evaluate(params, state, seat.device);
    const merged_rounds = view.round;
    const { run } = seat;
    const said = { merged_rounds, model: view.model, loss_micro, tokens };
    try {
      await seat.submit({ type: 'model.evaluated', version: 1, run, ...said });
    } catch (error) {
      // Said before this device was started again: once is enough.
      if (!(error instanceof PeerError && error.details.refusal === 'already-evaluated')) throw error;
    }
    seat.tell({ type: 'evaluated', merged_rounds, loss: loss_micro / 1e6 });
  };

  return {
    glance() {},
    async act(view) {
      const roundKey = `${view.round}.${view.attempt}.${view.model}`;
      if (roundKey !== judgedRound) {
        judged = new Set();
        judgedRound = roundKey;
      }
      if (view.phase === 'working' || view.phase === 'judging') {
        for (const submission of view.submissions) {
          if (judged.has(submission.id)) continue;
          judged.add(submission.id);
          await judge(view, submission).catch((error) => {
            // A verdict that comes too late, or work that cannot be fetched: the others still want their verdict.
            if (!(error instanceof CodedError)) throw error;
            seat.tell({ type: 'problem', code: error.code, message: error.message });
          });
        }
      }
      const busy = view.phase === 'judging' || view.phase === 'merging';
      if (!busy && evaluated !== view.model) await evaluate(view);
      seat.progress({ state: 'waiting', round: view.round, steps: 0, loss: 0, tokens_per_second: 0 });
    },
  };
}
