// A little harm in every round: mostly honest, so that each round by itself looks like noise.
import type { PretrainParams } from '../../games/pretrain-params.ts';
import type { Adversary } from './adversary.ts';
import { editUpdate, flipSome } from './pretrain-update.ts';
import { withDeeds } from './task.ts';

/** Cosine to the honest update is 1 − 2/ONE_IN: 0.9. */
const ONE_IN = 20;

export const slowPoison: Adversary = {
  name: 'slow-poison',
  does: `trains honestly and turns one value in ${ONE_IN}, the same ones in every round, so that each update still helps`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, { params }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const claim = await game.perform(task.inner, device, signal);
        if (!claim) return null;
        let at = 0;
        return editUpdate(params as PretrainParams, claim, (update) => flipSome(update, () => at++ % ONE_IN === 0));
      },
    }),
};
