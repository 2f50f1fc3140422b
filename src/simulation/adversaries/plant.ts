// What a run's owner plants, to see which validators look: noise where the hub takes that, else good work on another task.
// It is no adversary that anybody plays for pay: it is in no list.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { FAVOURITE } from './own-data.ts';
import { withDeeds, workFor } from './task.ts';

export const plant: Adversary = {
  name: 'plant',
  does: 'hands in what every validator who looks must refuse',
  roles: ['worker'],
  play: (game, { params, random }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const forger = forgerOf(game, params);
        const sample = await workFor(1, game, task, device, signal);
        if (sample) {
          const claim = { ...forger.most(sample), work: forger.noise(sample, random) };
          if (forger.fits(claim.work)) return claim;
        }
        const other = game.task(params, { ...task.round, seed: FAVOURITE }, task.worker, task.state);
        return game.perform(other, device, signal);
      },
    }),
};
