// Copies and covers its tracks: another's work with a little noise on it.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { withDeeds } from './task.ts';

export const copierNoisy: Adversary = {
  name: 'copier-noisy',
  does: "hands in another worker's submission of this round with noise on it",
  roles: ['worker'],
  waits: true,
  play: (game, context) =>
    withDeeds(game, {
      async perform(_task, _device, signal) {
        const others = await context.seen(signal);
        if (others.length === 0) return null;
        const claim = others[context.random.below(others.length)];
        return forgerOf(game, context.params).blurred(claim, context.random);
      },
    }),
};
