// The uncompressed size of all work of a run, to compare with what was sent.
import type { RunState } from '../core/state.ts';
import type { Models } from './models.ts';

export interface DenseBytes {
  /** Asks a run's game how large one uncompressed submission is. Await it before calling `of`. Throws GameError, HubError `missing-blob`. */
  learn(run: RunState): Promise<void>;
  of(run: RunState): number;
}

export function openDenseBytes(models: Pick<Models, 'game'>): DenseBytes {
  const sizes = new Map<string, number>();
  return {
    async learn(run) {
      const { game, params } = await models.game(run.spec);
      sizes.set(run.id, (await game.sizes(params)).dense_bytes);
    },
    of: (run) => run.submissions_total * (sizes.get(run.id) ?? 0),
  };
}
