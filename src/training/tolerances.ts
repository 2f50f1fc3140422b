// How far an honest worker's losses may be from a repetition, for each pair of runtime classes. `npm run bench tolerance` measures
// what honest workers differ by and what liars do; docs/tolerances.md is its table, and these bounds lie between the two.

export interface Tolerance {
  /** The first loss is one forward pass over the same weights: only rounding may differ (nats). */
  readonly first_loss: number;
  /** The mean distance of all losses (nats): rounding grows over the steps, and the validator's moments are not the worker's … */
  readonly mean_loss: number;
  /** … which matters the more the more a round changes the model: this part of what the update takes off the loss is added. */
  readonly of_gain: number;
  /** The least cosine between the update and the repeated difference, over the kept positions. */
  readonly agreement: number;
}

const NEAR: Tolerance = { first_loss: 0.002, mean_loss: 0.008, of_gain: 0.25, agreement: 0.5 };
/** Other classes' kernels: the first loss is still a matter of rounding, also in 16 bits on a GPU. */
const UNMEASURED: Tolerance = { first_loss: 0.02, mean_loss: 0.02, of_gain: 0.35, agreement: 0.4 };

const MEASURED = ['native-cpu', 'wasm'];

/** The number of steps that the bounds are for. */
const STEPS = 30;

/**
 * The bounds for so many steps done on one runtime class and repeated on another. Training is chaotic: over longer rounds the
 * losses drift apart in proportion to the steps, and the directions with the root of it. `gain` is what the update takes off the
 * loss of the worker's own data, in nats.
 */
export function toleranceOf(worker: string, validator: string, steps: number, gain = 0): Tolerance {
  const bounds = MEASURED.includes(worker) && MEASURED.includes(validator) ? NEAR : UNMEASURED;
  const growth = Math.max(1, steps / STEPS);
  return {
    ...bounds,
    mean_loss: (bounds.mean_loss + bounds.of_gain * Math.max(0, gain)) * growth,
    agreement: bounds.agreement / Math.sqrt(growth),
  };
}
