// Noise: takes one step to know the form, fills it with random values, and claims a whole round.
import type { Adversary } from './adversary.ts';
import { madeUp } from './forgery.ts';

export const noise: Adversary = {
  name: 'noise',
  does: 'hands in random work and claims a whole round',
  roles: ['worker'],
  play: (game, context) => madeUp(game, context, (forger, sample, random) => forger.noise(sample, random)),
};
