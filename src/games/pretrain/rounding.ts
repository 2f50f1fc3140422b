// Whether a repetition of inner steps can convict anybody: in a run that diverges the smallest rounding grows until two honest machines have
// nothing in common. So before work is called made up, its steps are repeated once more from weights that differ by rounding alone.
import type { Weights } from '../../model/config.ts';
import type { Trained } from '../../training/inner.ts';

/** The part by which a weight is changed: two of float32's last digits, about what one step's rounding on another kind of processor is. */
const ROUNDING = 2 ** -22;

/** Weights that differ from others by rounding alone, every second one up and the others down. */
export function shaken(weights: Weights): Weights {
  return new Map(
    [...weights].map(([name, values]) => [
      name,
      values.map((value, i) => value * (1 + (i % 2 ? ROUNDING : -ROUNDING))),
    ]),
  );
}

/**
 * The twin differs once, by a little; a machine of another kind rounds otherwise at every operator of every step, and what grows grows from
 * all of that. So its losses may be this many times as far away as the twin's.
 */
const BEYOND_TWIN = 16;

/**
 * How many of the first steps have the same loss, but for `allowed` nats, when they are repeated with other rounding: of these, and no
 * others, it can be said that a worker's loss is another one. `twin`: that repetition, null where it left the finite numbers.
 */
export function steadySteps(losses: readonly number[], twin: Trained | null, allowed: number): number {
  if (twin === null) return 0;
  // Also where the twin was broken off for want of time.
  const at = losses.findIndex((loss, step) => !(BEYOND_TWIN * Math.abs(loss - twin.losses[step]) <= allowed));
  return at < 0 ? losses.length : at;
}
