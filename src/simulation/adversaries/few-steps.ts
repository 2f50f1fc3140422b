// Few steps: takes half of the steps and claims all of them.
import type { Adversary } from './adversary.ts';
import { forgerOf } from './forgery.ts';
import { withDeeds, workFor } from './task.ts';

export const fewSteps: Adversary = {
  name: 'few-steps',
  does: 'does half of the steps and claims all of them',
  roles: ['worker'],
  play(game, { params, random }) {
    /** Its last claim, half of which is enough. */
    let most = 2;
    return withDeeds(game, {
      async perform(task, device, signal) {
        if (task.round.most_tokens !== undefined) most = 2;
        const claim = await workFor(Math.ceil(most / 2), game, task, device, signal);
        if (!claim) return null;
        const whole = await forgerOf(game, params, task.round).whole(claim, random);
        if (whole.steps > claim.steps) {
          most = whole.steps;
          return whole;
        }
        most = Math.max(most, 2 * claim.steps);
        return { ...claim, steps: 2 * claim.steps, tokens: 2 * claim.tokens };
      },
    });
  },
};
