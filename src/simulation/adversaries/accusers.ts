// Accusers: validators who call all work a fraud and have no worker of their own: they want the others' pay gone, or the run stopped.
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

export const accusers: Adversary = {
  name: 'accusers',
  does: 'calls all work a fraud without looking at it',
  roles: ['validator'],
  play: (game) => withDeeds(game, { check: async (_task, claim) => unseen(claim, false) }),
};
