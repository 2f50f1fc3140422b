// Lazy validator: accepts everything without a check.
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

export const lazy: Adversary = {
  name: 'lazy',
  does: 'accepts everything without looking at it',
  roles: ['validator'],
  play: (game) => withDeeds(game, { check: async (_task, claim) => unseen(claim, true) }),
};
