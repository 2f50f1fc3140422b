// Workers that hand in what others, or they themselves, have handed in before.
import type { Claim } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import { decodeWork, encodeWork } from '../../games/pretrain/work.ts';
import type { Adversary } from './adversary.ts';
import { forgerOf, takenOver } from './forgery.ts';
import { editUpdate, flipSome } from './pretrain-update.ts';
import { withDeeds, workFor } from './task.ts';

/** Waits until another worker has submitted, and submits the same work under its own name. */
export const copier: Adversary = {
  name: 'copier',
  does: "hands in another worker's submission of this round as its own",
  roles: ['worker'],
  waits: true,
  play: (game, context) => takenOver(game, context, (claim) => claim),
};

/** Submits another worker's work with a little noise, to hide the copy. */
export const copierNoisy: Adversary = {
  name: 'copier-noisy',
  does: "hands in another worker's submission of this round with noise on it",
  roles: ['worker'],
  waits: true,
  play: (game, context) =>
    takenOver(game, context, (claim, round) => forgerOf(game, context.params, round).blurred(claim, context.random)),
};

/** One device with many names works once, and submits the work under each of them with a little noise. */
export const sybils: Adversary = {
  name: 'sybils',
  does: 'works once with one device and hands that in under many names, with a little noise for each',
  roles: ['worker'],
  // A thousand in reality; a crowd is enough here, because pay depends on work and not on names.
  identities: 6,
  play: (game, { family, params, random }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const key = `${task.round.number}.${task.round.seed}`;
        const done = family.get(key);
        if (done) return forgerOf(game, params, task.round).blurred(done, random);
        const claim = await game.perform(task.inner, device, signal);
        if (claim) family.set(key, claim);
        return claim;
      },
    }),
};

/** Works once, and submits the same update for ever. */
export const stale: Adversary = {
  name: 'stale',
  does: 'works in its first round and hands the same work in again in every later one',
  roles: ['worker'],
  honest_rounds: 1,
  play(game) {
    let first: Claim | null = null;
    return withDeeds(game, {
      async perform(task, device, signal) {
        first ??= await game.perform(task.inner, device, signal);
        return first;
      },
    });
  },
};

const SELF_BLUR_ONE_IN = 5;

/** Submits its own last update again and again, with some values flipped so that it looks new. */
export const selfBlur: Adversary = {
  name: 'self-blur',
  does: `works in its first round, then takes one step and hands in its last update with one value in ${SELF_BLUR_ONE_IN} turned`,
  roles: ['worker'],
  games: ['pretrain'],
  honest_rounds: 1,
  play(game, { params, random }) {
    const { batch, context } = params as PretrainParams;
    let last: Claim | null = null;
    return withDeeds(game, {
      async perform(task, device, signal) {
        if (last === null) {
          last = await game.perform(task.inner, device, signal);
          return last;
        }
        const sample = await workFor(1, game, task, device, signal);
        if (!sample) return null;
        const [now, before] = [decodeWork(sample.work), decodeWork(last.work)];
        // The losses of the round before, from the first known one on.
        const losses = [...before.losses].map((loss) => Math.max(0, loss - before.losses[0] + now.losses[0]));
        const work = encodeWork({ ...now, losses, update: before.update });
        const traced = decodeWork(work).losses;
        const mean = traced.reduce((sum, loss) => sum + loss, 0) / traced.length;
        const claim = {
          work,
          amount: traced.length * batch * context,
          numbers: { steps: traced.length, loss_micro: Math.round(mean * 1e6) },
        };
        last = editUpdate(params as PretrainParams, claim, (update) =>
          flipSome(update, () => random.below(SELF_BLUR_ONE_IN) === 0),
        );
        return last;
      },
    });
  },
};
