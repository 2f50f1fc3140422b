// Copies: waits until somebody has handed in, and hands the same in under its own name.
import type { Adversary } from './adversary.ts';
import { withDeeds } from './task.ts';

export const copier: Adversary = {
  name: 'copier',
  does: "hands in another worker's submission of this round as its own",
  roles: ['worker'],
  waits: true,
  play: (game, context) =>
    withDeeds(game, {
      async perform(_task, _device, signal) {
        const others = await context.seen(signal);
        return others.length > 0 ? others[context.random.below(others.length)] : null;
      },
    }),
};
