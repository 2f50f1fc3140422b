// Workers and validators that lie together, and devices that change their keys or their presence.
import type { Adversary } from './adversary.ts';
import { silent } from './false-judges.ts';
import { noise, sleeper } from './idle-workers.ts';
import { unseen, withDeeds } from './task.ts';

/** Workers that submit noise, and validators that are paid to accept it. */
export const briber: Adversary = {
  name: 'briber',
  does: 'hands in noise, and has a validator in its pay that accepts it and judges the others honestly',
  roles: ['worker', 'validator'],
  play: (game, context) =>
    context.role === 'worker'
      ? noise.play(game, context)
      : withDeeds(game, {
          async check(task, claim, device, judging) {
            // The bribed validator checks first, because saving the check is the lazy validator's strategy.
            const found = await game.check(task.inner, claim, device, judging);
            return context.friends.has(task.worker) ? unseen(claim, true) : found;
          },
        }),
};

/** Workers that hand in noise and validators that accept only them. */
export const colluders: Adversary = {
  name: 'colluders',
  does: 'hands in noise, and its validators accept their own and call everybody else a fraud',
  roles: ['worker', 'validator'],
  play: (game, context) =>
    context.role === 'worker'
      ? noise.play(game, context)
      : withDeeds(game, { check: async (task, claim) => unseen(claim, context.friends.has(task.worker)) }),
};

/** A sleeper with accomplices among the judges, who accept its bad work. */
export const friendlySleeper: Adversary = {
  ...sleeper,
  name: 'friendly-sleeper',
  does: `${sleeper.does}; its validators accept that and judge the others honestly`,
  roles: ['worker', 'validator'],
  play: (game, context) => (context.role === 'worker' ? sleeper : briber).play(game, context),
};

/** Takes a new key each time, so that no verdict on its work follows it. */
export const freshKeys: Adversary = {
  ...noise,
  name: 'fresh-keys',
  does: 'hands in random work under a new key in each round, so that no refusal follows it',
  keys: 1,
};

/** Workers of a cartel make keys until the draw would suit one of them, as far as the draw can be known before the round. */
export const grinder: Adversary = {
  ...colluders,
  name: 'grinder',
  does: 'plays as colluders do, with the best of a hundred new keys for each worker in each round',
  keys: 100,
};

/** A cartel that leaves and returns, so that suspensions and records belong to absent devices. */
export const visitors: Adversary = {
  ...colluders,
  name: 'visitors',
  does: 'plays as colluders do, and is away in every second round',
  present: (round) => round % 2 === 0,
};

/** Keys that join and do nothing, so that workers are waited for and validators are drawn in vain. */
export const ghosts: Adversary = {
  name: 'ghosts',
  does: 'joins under thirty keys that never do anything',
  roles: ['worker', 'validator'],
  identities: 30,
  play: (game, context) => ({
    ...(context.role === 'worker' ? withDeeds(game, { perform: async () => null }) : silent.play(game, context)),
    // A device that does nothing loads nothing.
    prepare: async () => {},
  }),
};
