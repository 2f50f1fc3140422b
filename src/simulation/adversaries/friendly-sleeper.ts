// Friendly sleeper: a sleeper with accomplices among the judges, who accept its bad work.
import type { Adversary } from './adversary.ts';
import { briber } from './briber.ts';
import { sleeper } from './sleeper.ts';

export const friendlySleeper: Adversary = {
  ...sleeper,
  name: 'friendly-sleeper',
  does: `${sleeper.does}; its validators accept that and judge the others honestly`,
  roles: ['worker', 'validator'],
  play: (game, context) => (context.role === 'worker' ? sleeper : briber).play(game, context),
};
