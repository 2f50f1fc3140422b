// Sybils: one device with many names works once, and submits the work under each of them with a little noise.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { withDeeds } from './task.ts';

export const sybils: Adversary = {
  name: 'sybils',
  does: 'works once with one device and hands that in under many names, with a little noise for each',
  roles: ['worker'],
  // A thousand in reality; a crowd is enough here, because pay depends on work and not on names.
  identities: 6,
  play: (game, { family, params, random }) =>
    withDeeds(game, {
      async perform(task, device, signal) {
        const key = `${task.round.number}.${task.round.seed}`;
        const done = family.get(key);
        if (done) return forgerOf(game, params, task.round).blurred(done, random);
        const claim = await game.perform(task.inner, device, signal);
        if (claim) family.set(key, claim);
        return claim;
      },
    }),
};
