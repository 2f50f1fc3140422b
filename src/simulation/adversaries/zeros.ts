// Empty work: harmless, so that a check that only looks for harm lets it through, and paid for nothing.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { withDeeds, workFor } from './task.ts';

export const zeros: Adversary = {
  name: 'zeros',
  does: 'hands in work that changes nothing and claims a whole round',
  roles: ['worker'],
  play: (game, { params, random }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const sample = await workFor(1, game, task, device, signal);
        return sample && forgerOf(game, params).zeros(sample, random);
      },
    }),
};
