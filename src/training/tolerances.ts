// How far an honest worker's losses may be from a repetition, for each pair of runtime classes. `npm run bench tolerance` measures
// what honest workers differ by and what liars do; docs/tolerances.md is its table, and these bounds lie between the two.

export interface Tolerance {
  /** The first loss is one forward pass over the same weights: only rounding may differ (nats). */
  readonly first_loss: number;
  /** The mean distance of all losses (nats): rounding grows over the steps, and the validator's moments are not the worker's. */
  readonly mean_loss: number;
  /** The least cosine between the update and the repeated difference, over the kept positions. */
  readonly agreement: number;
}

const NEAR: Tolerance = { first_loss: 0.002, mean_loss: 0.01, agreement: 0.5 };
/** Other classes' kernels: the first loss is still a matter of rounding, also in 16 bits on a GPU. */
const UNMEASURED: Tolerance = { first_loss: 0.02, mean_loss: 0.03, agreement: 0.4 };

const MEASURED = ['native-cpu', 'wasm'];

/** The number of steps that the bounds are for. */
const STEPS = 30;

/**
 * The bounds for so many steps done on one runtime class and repeated on another. Training is chaotic: over longer rounds the
 * losses drift apart in proportion to the steps, and the directions with the root of it.
 */
export function toleranceOf(worker: string, validator: string, steps: number): Tolerance {
  const { first_loss, mean_loss, agreement } =
    MEASURED.includes(worker) && MEASURED.includes(validator) ? NEAR : UNMEASURED;
  const growth = Math.max(1, steps / STEPS);
  return { first_loss, mean_loss: mean_loss * growth, agreement: agreement / Math.sqrt(growth) };
}
