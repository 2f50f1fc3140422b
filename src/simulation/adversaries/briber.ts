// Briber: workers that submit noise, and validators that are paid to accept it.
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
            // The bribed validator checks first, because saving the check is the lazy validator's strategy.
            const found = await game.check(task.inner, claim, device, judging);
            return context.friends.has(task.worker) ? unseen(claim, true) : found;
          },
        }),
};
