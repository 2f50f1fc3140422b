// Zeros: submits empty work, which a check that only looks for harm would accept.
import type { Adversary } from './adversary.ts';
import { madeUp } from './forgery.ts';

export const zeros: Adversary = {
  name: 'zeros',
  does: 'hands in work that changes nothing and claims a whole round',
  roles: ['worker'],
  play: (game, context) => madeUp(game, context, (forger, sample, random) => forger.zeros(sample, random)),
};
