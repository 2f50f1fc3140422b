// Sleeper: honest until its work is no longer always re-executed, then noise.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { withDeeds, workFor } from './task.ts';

/** So much can then be lost that one judge re-executes in one of seven cases (core/rounds/re-execution.ts). */
const HONEST_ROUNDS = 10;

export const sleeper: Adversary = {
  name: 'sleeper',
  does: `works honestly for ${HONEST_ROUNDS} rounds, and hands in noise when its work is seldom repeated`,
  roles: ['worker'],
  honest_rounds: HONEST_ROUNDS,
  play(game, { params, random }) {
    let rounds = 0;
    return withDeeds(game, {
      async perform(task, device, signal) {
        if (rounds++ < HONEST_ROUNDS) return game.perform(task.inner, device, signal);
        const sample = await workFor(1, game, task, device, signal);
        return sample && forgerOf(game, params, task.round).noise(sample, random);
      },
    });
  },
};
