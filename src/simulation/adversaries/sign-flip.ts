// Sign flip: does the work and submits the opposite of the result.
import type { Adversary } from './adversary.ts';
import { mapTables, trainedThen } from './pretrain-update.ts';

export const signFlip: Adversary = {
  name: 'sign-flip',
  does: 'trains honestly and hands in the update with its sign turned',
  roles: ['worker'],
  games: ['pretrain'],
  play: (game, context) =>
    trainedThen(game, context, (update) => mapTables(update, (value) => (value === 0 ? 0 : -value))),
};
