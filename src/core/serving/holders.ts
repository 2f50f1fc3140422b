// Who gets what a model earns: those who hold shares of its run, those of the model that it started from among them.
import { CORE_LIMITS } from '../limits.ts';
import { divide } from '../shares/shares.ts';
import type { RunState } from '../state.ts';

/**
 * The holders of a run's model and their shares. Whoever holds shares of the model that the run started from has got shares of every
 * round of this one (shares/lineage.ts), so a division by this run's shares pays them too, and once. Only while no round of it has paid
 * anybody, what is served is the ancestor's model, and its holders get all of it.
 */
export function holdersOf(run: RunState): ReadonlyMap<string, number> {
  const held = new Map([...run.shares].filter(([, shares]) => shares > 0));
  return held.size > 0 ? held : (run.lineage?.holders ?? held);
}

/**
 * Divides what a run's holders have earned together, whole and exactly (largest remainder). null while it must wait: for somebody who
 * holds shares, or until there is so much that rounding takes from nobody more than a thousandth of an equal part.
 */
export function divideAmongHolders(run: RunState, pot_micro: number): Map<string, number> | null {
  const holders = holdersOf(run);
  if (holders.size === 0 || pot_micro < holders.size * CORE_LIMITS.holder_least_micro) return null;
  return divide(
    pot_micro,
    [...holders].map(([id, weight]) => ({ id, weight })),
  );
}
