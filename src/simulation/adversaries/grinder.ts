// Grinding: workers of a cartel make keys until the draw would suit one of them, as far as the draw can be known before the round.
import type { Adversary } from './adversary.ts';
import { colluders } from './colluders.ts';

export const grinder: Adversary = {
  name: 'grinder',
  does: 'plays as colluders do, with the best of a hundred new keys for each worker in each round',
  roles: ['worker', 'validator'],
  keys: 100,
  play: (game, context) => colluders.play(game, context),
};
