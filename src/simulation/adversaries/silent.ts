// Silent validator: takes a seat and never answers, so that the others wait for it.
import { SimulationError } from '../errors.ts';
import type { Adversary } from './adversary.ts';
import { withDeeds } from './task.ts';

export const silent: Adversary = {
  name: 'silent',
  does: 'is drawn like any other judge and never says anything',
  roles: ['validator'],
  play: (game) =>
    withDeeds(game, {
      check: async () => {
        throw new SimulationError('silent', 'this judge says nothing');
      },
    }),
};
