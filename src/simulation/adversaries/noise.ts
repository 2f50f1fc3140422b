// Random work: takes one step to know the form, fills it with noise, claims a whole round.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { withDeeds, workFor } from './task.ts';

export const noise: Adversary = {
  name: 'noise',
  does: 'hands in random work and claims a whole round',
  roles: ['worker'],
  play: (game, { params, random }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const sample = await workFor(1, game, task, device, signal);
        return sample && forgerOf(game, params).noise(sample, random);
      },
    }),
};
