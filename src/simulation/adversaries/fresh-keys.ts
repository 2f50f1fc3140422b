// Fresh keys: takes a new key each time, so that no verdict on its work follows it.
import type { Adversary } from './adversary.ts';
import { noise } from './noise.ts';

export const freshKeys: Adversary = {
  name: 'fresh-keys',
  does: 'hands in random work under a new key in each round, so that no refusal follows it',
  roles: ['worker'],
  keys: 1,
  play: (game, context) => noise.play(game, context),
};
