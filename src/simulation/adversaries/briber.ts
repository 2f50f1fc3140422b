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
            // It looks first: what is gained by not looking is the lazy validator's subject.
            const found = await game.check(task.inner, claim, device, judging);
            return context.friends.has(task.worker) ? unseen(claim, true) : found;
          },
        }),
};
