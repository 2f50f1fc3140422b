// Visitors: a cartel that leaves and returns, so that suspensions and records belong to absent devices.
import type { Adversary } from './adversary.ts';
import { colluders } from './colluders.ts';

export const visitors: Adversary = {
  name: 'visitors',
  does: 'plays as colluders do, and is away in every second round',
  roles: ['worker', 'validator'],
  present: (round) => round % 2 === 0,
  play: (game, context) => colluders.play(game, context),
};
