// Boast: does a little work and claims a thousand times as much.
import type { Adversary } from './adversary.ts';
import { withDeeds, workFor } from './task.ts';

const TIMES = 1000;

export const boast: Adversary = {
  name: 'boast',
  does: 'does one step and reports a thousand times as much, with a perfect score',
  roles: ['worker'],
  play: (game) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const claim = await workFor(1, game, task, device, signal);
        return claim && { ...claim, steps: TIMES * claim.steps, tokens: TIMES * claim.tokens, loss_micro: 0 };
      },
    }),
};
