// Copying validator: verdicts are secret until all are committed, so the newest one that it can copy is of the round before.
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

export const copyingValidator: Adversary = {
  name: 'copying-validator',
  does: 'says of each worker what the others said of it a round ago, which is all that seals let it see',
  roles: ['validator'],
  play: (game, context) =>
    withDeeds(game, { check: async (task, claim) => unseen(claim, context.shown().get(task.worker) ?? true) }),
};
