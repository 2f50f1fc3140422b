// Colluders: workers that hand in noise and validators that accept only them.
import type { Adversary } from './adversary.ts';
import { noise } from './noise.ts';
import { unseen, withDeeds } from './task.ts';

export const colluders: Adversary = {
  name: 'colluders',
  does: 'hands in noise, and its validators accept their own and call everybody else a fraud',
  roles: ['worker', 'validator'],
  play: (game, context) =>
    context.role === 'worker'
      ? noise.play(game, context)
      : withDeeds(game, { check: async (task, claim) => unseen(claim, context.friends.has(task.worker)) }),
};
