// Bribes a validator: noise on the one side, an open hand on the other.
import type { Adversary } from './adversary.ts';
import { noise } from './noise.ts';
import { unseen, withDeeds } from './task.ts';

export const briber: Adversary = {
  name: 'briber',
  does: 'hands in noise, and has a validator in its pay that accepts it and judges the others honestly',
  roles: ['worker', 'validator'],
  play: (game, context) =>
    context.role === 'worker'
      ? noise.play(game, context)
      : withDeeds(game, {
          async check(task, claim, device, judging) {
            if (context.friends.has(task.worker)) return unseen(claim, true);
            return game.check(task.inner, claim, device, judging);
          },
        }),
};
