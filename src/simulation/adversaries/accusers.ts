// Accusers: validators that call all work fraud and have no worker of their own. They want the workers' pay taken, or the run stopped.
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

export const accusers: Adversary = {
  name: 'accusers',
  does: 'calls all work a fraud without looking at it',
  roles: ['validator'],
  play: (game) => withDeeds(game, { check: async (_task, claim) => unseen(claim, false) }),
};
