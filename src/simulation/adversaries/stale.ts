// Stale: works once, and submits the same update for ever.
import type { Claim } from '../../games/game.ts';
import type { Adversary } from './adversary.ts';
import { withDeeds } from './task.ts';

export const stale: Adversary = {
  name: 'stale',
  does: 'works in its first round and hands the same work in again in every later one',
  roles: ['worker'],
  honest_rounds: 1,
  play(game) {
    let first: Claim | null = null;
    return withDeeds(game, {
      async perform(task, device, signal) {
        first ??= await game.perform(task.inner, device, signal);
        return first;
      },
    });
  },
};
