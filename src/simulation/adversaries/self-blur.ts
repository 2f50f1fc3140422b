// Self-blur: submits its own last update again and again, with some values flipped so that it looks new.

import type { Claim } from '../../games/game.ts';
import type { PretrainParams } from '../../games/pretrain/params.ts';
import { decodeWork, encodeWork } from '../../games/pretrain/work.ts';
import type { Adversary } from './adversary.ts';
import { editUpdate, flipSome } from './pretrain-update.ts';
import { withDeeds, workFor } from './task.ts';

const ONE_IN = 5;

export const selfBlur: Adversary = {
  name: 'self-blur',
  does: `works in its first round, then takes one step and hands in its last update with one value in ${ONE_IN} turned`,
  roles: ['worker'],
  games: ['pretrain'],
  honest_rounds: 1,
  play(game, { params, random }) {
    const { batch, context } = params as PretrainParams;
    let last: Claim | null = null;
    return withDeeds(game, {
      async perform(task, device, signal) {
        if (last === null) {
          last = await game.perform(task.inner, device, signal);
          return last;
        }
        const sample = await workFor(1, game, task, device, signal);
        if (!sample) return null;
        const [now, before] = [decodeWork(sample.work), decodeWork(last.work)];
        // The losses of the round before, from the first known one on.
        const losses = [...before.losses].map((loss) => Math.max(0, loss - before.losses[0] + now.losses[0]));
        const work = encodeWork({ ...now, losses, update: before.update });
        const traced = decodeWork(work).losses;
        const mean = traced.reduce((sum, loss) => sum + loss, 0) / traced.length;
        const claim = {
          work,
          steps: traced.length,
          tokens: traced.length * batch * context,
          loss_micro: Math.round(mean * 1e6),
        };
        last = editUpdate(params as PretrainParams, claim, (update) =>
          flipSome(update, () => random.below(ONE_IN) === 0),
        );
        return last;
      },
    });
  },
};
