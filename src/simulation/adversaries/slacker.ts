// Slacker: takes some of the steps, and invents the losses of the others as smooth as real ones.
import { stepsAllowed } from '../../games/first-work.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import type { Adversary } from './adversary.ts';
import { claimOf } from './pretrain-update.ts';
import { withDeeds, workFor } from './task.ts';

/** As long as a newcomer's work is re-executed often. */
const HONEST_ROUNDS = 10;

function slackerWith(name: string, does: string, stepsOf: (all: number) => number, honest_rounds = 0): Adversary {
  return {
    ...{ name, does, roles: ['worker'], games: ['pretrain'], honest_rounds },
    play(game, context) {
      const params = context.params as PretrainParams;
      let rounds = 0;
      return withDeeds(game, {
        async perform(task, device, signal) {
          if (rounds++ < honest_rounds) return game.perform(task.inner, device, signal);
          const { inner_steps, batch, context: length } = params;
          const all = stepsAllowed(inner_steps, batch * length, task.round);
          const claim = await workFor(stepsOf(all), game, task, device, signal);
          return claim && claimOf(all, params, claim, context.random, 0);
        },
      });
    },
  };
}

const half = (all: number): number => Math.ceil(all / 2);

export const slacker = slackerWith('slacker', 'does half of the steps and continues their losses smoothly', half);
export const slackerTwo = slackerWith('slacker-2', 'does two steps and continues their losses smoothly', () => 2);
export const sleepingSlacker = slackerWith(
  'sleeping-slacker',
  `works honestly for ${HONEST_ROUNDS} rounds, then does half of the steps and continues their losses smoothly`,
  half,
  HONEST_ROUNDS,
);
