// Slow poison: mostly honest with a little harm in every round, so that each round by itself looks like noise.
import type { Adversary } from './adversary.ts';
import { flipSome, trainedThen } from './pretrain-update.ts';

/** Cosine to the honest update is 1 − 2/ONE_IN: 0.9. */
const ONE_IN = 20;

export const slowPoison: Adversary = {
  name: 'slow-poison',
  does: `trains honestly and turns one value in ${ONE_IN}, the same ones in every round, so that each update still helps`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) =>
    trainedThen(game, context, (update) => {
      let at = 0;
      return flipSome(update, () => at++ % ONE_IN === 0);
    }),
};
