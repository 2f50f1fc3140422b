// Ghosts: keys that join and do nothing, so that workers are waited for and validators are drawn in vain.
import type { Adversary } from './adversary.ts';
import { silent } from './silent.ts';
import { withDeeds } from './task.ts';

export const ghosts: Adversary = {
  name: 'ghosts',
  does: 'joins under thirty keys that never do anything',
  roles: ['worker', 'validator'],
  identities: 30,
  play: (game, context) => ({
    ...(context.role === 'worker' ? withDeeds(game, { perform: async () => null }) : silent.play(game, context)),
    // A device that does nothing loads nothing.
    prepare: async () => {},
  }),
};
