// Ghosts: keys that join and never do anything, as workers that are waited for and as validators that are drawn.
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
    // Who does nothing loads nothing.
    prepare: async () => {},
  }),
};
