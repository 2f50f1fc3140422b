// Wants to count more: the honest update, many times as large.
import type { PretrainParams } from '../../games/pretrain-params.ts';
import type { Adversary } from './adversary.ts';
import { editUpdate, mapTables } from './pretrain-update.ts';
import { withDeeds } from './task.ts';

/** A power of two: the table's eight bits of precision hold it exactly. */
const FACTOR = 16;

export const scaled: Adversary = {
  name: 'scaled',
  does: `trains honestly and hands in ${FACTOR} times its update`,
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, { params }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const claim = await game.perform(task.inner, device, signal);
        const larger = (value: number): number => value * FACTOR;
        return claim && editUpdate(params as PretrainParams, claim, (update) => mapTables(update, larger));
      },
    }),
};
