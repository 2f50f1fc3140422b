// Does the work and hands in its opposite.
import type { PretrainParams } from '../../games/pretrain-params.ts';
import type { Adversary } from './adversary.ts';
import { editUpdate, mapTables } from './pretrain-update.ts';
import { withDeeds } from './task.ts';

export const signFlip: Adversary = {
  name: 'sign-flip',
  does: 'trains honestly and hands in the update with its sign turned',
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, { params }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const claim = await game.perform(task.inner, device, signal);
        const turned = (value: number): number => (value === 0 ? 0 : -value);
        return claim && editUpdate(params as PretrainParams, claim, (update) => mapTables(update, turned));
      },
    }),
};
