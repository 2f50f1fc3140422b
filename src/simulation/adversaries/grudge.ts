// Grudge: a validator that judges honestly, except for one half of the workers, whom it wants out.
import type { Adversary } from './adversary.ts';
import { unseen, withDeeds } from './task.ts';

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
