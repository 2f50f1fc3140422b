// Validators whose verdicts do not say what they have found.
import { SimulationError } from '../errors.ts';
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

/** Accepts everything without a check. */
export const lazy: Adversary = {
  name: 'lazy',
  does: 'accepts everything without looking at it',
  roles: ['validator'],
  play: (game) => withDeeds(game, { check: async (_task, claim) => unseen(claim, true) }),
};

/** Takes a seat and never answers, so that the others wait for it. */
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

/** Verdicts are secret until all are committed, so the newest one that it can copy is of the round before. */
export const copyingValidator: Adversary = {
  name: 'copying-validator',
  does: 'says of each worker what the others said of it a round ago, which is all that seals let it see',
  roles: ['validator'],
  play: (game, context) =>
    withDeeds(game, { check: async (task, claim) => unseen(claim, context.shown().get(task.worker) ?? true) }),
};

/** A validator that reports the opposite of what it finds. */
export const contrarian: Adversary = {
  name: 'contrarian',
  does: 'finds out the truth and says the opposite',
  roles: ['validator'],
  play: (game) =>
    withDeeds(game, {
      async check(task, claim, device, judging) {
        const { accepted } = await game.check(task.inner, claim, device, judging);
        return unseen(claim, !accepted);
      },
    }),
};

/** Validators that call all work fraud and have no worker of their own. They want the workers' pay taken, or the run stopped. */
export const accusers: Adversary = {
  name: 'accusers',
  does: 'calls all work a fraud without looking at it',
  roles: ['validator'],
  play: (game) => withDeeds(game, { check: async (_task, claim) => unseen(claim, false) }),
};

/** A validator that judges honestly, except for one half of the workers, whom it wants out. */
export const grudge: Adversary = {
  name: 'grudge',
  does: 'judges honestly, except that it refuses half of the workers whatever they do',
  roles: ['validator'],
  play(game) {
    /** Every second worker, in the order in which it met them. */
    const met = new Map<string, boolean>();
    return withDeeds(game, {
      async check(task, claim, device, judging) {
        if (!met.has(task.worker)) met.set(task.worker, met.size % 2 === 0);
        const found = await game.check(task.inner, claim, device, judging);
        return met.get(task.worker) ? unseen(claim, false) : found;
      },
    });
  },
};
