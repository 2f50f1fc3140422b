// Noisy copier: submits another worker's work with a little noise, to hide the copy.
import type { Adversary } from './adversary.ts';
import { forgerOf, takenOver } from './forgery.ts';

export const copierNoisy: Adversary = {
  name: 'copier-noisy',
  does: "hands in another worker's submission of this round with noise on it",
  roles: ['worker'],
  waits: true,
  play: (game, context) =>
    takenOver(game, context, (claim, round) => forgerOf(game, context.params, round).blurred(claim, context.random)),
};
