// Copier: waits until another worker has submitted, and submits the same work under its own name.
import type { Adversary } from './adversary.ts';
import { takenOver } from './forgery.ts';

export const copier: Adversary = {
  name: 'copier',
  does: "hands in another worker's submission of this round as its own",
  roles: ['worker'],
  waits: true,
  play: (game, context) => takenOver(game, context, (claim) => claim),
};
