// Workers that claim more work than they have done.
import { stepsAllowed } from '../../games/first-work.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import { onWrongTask } from '../../games/wrong-task.ts';
import type { Adversary } from './adversary.ts';
import { forgerOf, madeUp } from './forgery.ts';
import { claimOf } from './pretrain-update.ts';
import { manyTimes, withDeeds, workFor } from './task.ts';

/** Takes one step to know the form, fills it with random values, and claims a whole round. */
export const noise: Adversary = {
  name: 'noise',
  does: 'hands in random work and claims a whole round',
  roles: ['worker'],
  play: (game, context) => madeUp(game, context, (forger, sample, random) => forger.noise(sample, random)),
};

/** Submits empty work, which a check that only looks for harm would accept. */
export const zeros: Adversary = {
  name: 'zeros',
  does: 'hands in work that changes nothing and claims a whole round',
  roles: ['worker'],
  play: (game, context) => madeUp(game, context, (forger, sample, random) => forger.zeros(sample, random)),
};

const BOASTED_TIMES = 1000;

/** Does a little work and claims a thousand times as much. */
export const boast: Adversary = {
  name: 'boast',
  does: 'does one step and reports a thousand times as much',
  roles: ['worker'],
  play: (game) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const claim = await workFor(1, game, task, device, signal);
        return claim && manyTimes(claim, BOASTED_TIMES);
      },
    }),
};

/** Takes half of the steps and claims all of them. */
export const fewSteps: Adversary = {
  name: 'few-steps',
  does: 'does half of the steps and claims all of them',
  roles: ['worker'],
  play(game, { params, random }) {
    /** Its last claim, half of which is enough. */
    let most = 2;
    return withDeeds(game, {
      async perform(task, device, signal) {
        if (task.round.most_amount !== undefined) most = 2;
        const claim = await workFor(Math.ceil(most / 2), game, task, device, signal);
        if (!claim) return null;
        const whole = await forgerOf(game, params, task.round).whole(claim, random);
        if (whole.amount > claim.amount) {
          most = whole.numbers.steps ?? most;
          return whole;
        }
        most = Math.max(most, 2 * (claim.numbers.steps ?? 1));
        return manyTimes(claim, 2);
      },
    });
  },
};

/**
 * Some adversaries are honest for so many rounds. A worker can lose so much by then that one judge re-executes its work in one of seven
 * cases (core/rounds/re-execution.ts).
 */
const HONEST_ROUNDS = 10;

/** A slacker takes some of the steps, and invents losses for the others that are as smooth as real ones. */
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

/** Honest until its work is no longer always re-executed, then noise. */
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

const FAVOURITE_SEED = '0'.repeat(64);

/** Works as if every round had the same seed, on text that it knows by heart. */
export const ownData: Adversary = {
  name: 'own-data',
  does: 'does the work, but on a task of its own choice instead of the one that the round gives it',
  roles: ['worker'],
  play: (game) => onWrongTask(game, () => FAVOURITE_SEED),
};
