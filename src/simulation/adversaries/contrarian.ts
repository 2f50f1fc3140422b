// Contrarian: a validator that reports the opposite of what it finds.
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

export const contrarian: Adversary = {
  name: 'contrarian',
  does: 'finds out the truth and says the opposite',
  roles: ['validator'],
  play: (game) =>
    withDeeds(game, {
      async check(task, claim, device, judging) {
        const { accepted } = await game.check(task.inner, claim, device, judging);
        return unseen(claim, !accepted);
      },
    }),
};
