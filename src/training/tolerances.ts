// How far an honest worker's losses may be from a re-execution, for each pair of runtime classes. `npm run bench tolerance` measures how far
// honest workers and liars are off; its table is in docs/security.md, and these bounds lie between the two.

export interface Tolerance {
  /** The first loss is one forward pass over the same weights: only rounding may differ (nats). */
  readonly first_loss: number;
  /** The mean distance of all losses (nats): rounding errors grow, and the validator's moments are not the worker's. */
  readonly mean_loss: number;
  /** The mean distance of the jumps from one loss to the next (nats), over half of the steps. */
  readonly jumps: number;
  /** The least cosine between the update and the repeated difference, over the kept positions. */
  readonly agreement: number;
}

/** The largest losses beside which the bounds were measured, in nats: those of the first steps with a large vocabulary. */
const MEASURED_LOSS = 8;

/** A bound in nats for a loss of any size. Rounding is relative, so for losses beyond those measured the bound grows with the loss. */
export const besideLoss = (bound: number, loss: number): number => bound * Math.max(1, loss / MEASURED_LOSS);

/** The bounds of a pair of classes, for a validator without the worker's state. The more a round changes the model, the more the moments matter. */
interface Bounds extends Tolerance {
  /** `mean_loss` is raised by this part of the change that the update makes to the loss of the worker's own data … */
  readonly of_gain: number;
  /** … and by this part of the sum of the round's learning rates, which is about how far Adam moves a weight. */
  readonly of_rates: number;
}

const NEAR: Bounds = {
  first_loss: 0.002,
  mean_loss: 0.008,
  jumps: 0.008,
  of_gain: 0.3,
  of_rates: 0.4,
  agreement: 0.15,
};
/** Kernels of other classes: the first loss is still only a matter of rounding, even in 16 bits on a GPU. */
const UNMEASURED: Bounds = {
  first_loss: 0.02,
  mean_loss: 0.02,
  jumps: 0.02,
  of_gain: 0.4,
  of_rates: 0.6,
  agreement: 0.12,
};

const MEASURED = ['native-cpu', 'wasm'];
/** The number of steps for which the bound of the agreement holds: over longer rounds directions drift apart with the square root. */
const STEPS = 30;

/** A round's work as its bounds need it: its steps, the sum of their learning rates, and how much the update lowers the loss. */
export interface Repeatable {
  readonly steps: number;
  readonly rates: number;
  readonly gain: number;
}

/** The bounds for work done on one runtime class and re-executed on another with moments that are not the worker's. */
export function toleranceOf(worker: string, validator: string, { steps, rates, gain }: Repeatable): Tolerance {
  const bounds = MEASURED.includes(worker) && MEASURED.includes(validator) ? NEAR : UNMEASURED;
  const { first_loss, mean_loss, jumps, of_gain, of_rates, agreement } = bounds;
  return {
    first_loss,
    mean_loss: mean_loss + of_gain * Math.abs(gain) + of_rates * rates,
    jumps,
    agreement: agreement / Math.sqrt(Math.max(1, steps / STEPS)),
  };
}

/** The bound of the jumps between so many losses: a mean of few values varies more. */
export const amongFew = (jumps: number, losses: number): number => jumps * (1 + 2 / Math.sqrt(Math.max(1, losses / 2)));

/** How far work may be from its re-execution with the worker's own state, where only rounding differs. */
export interface FollowedTolerance {
  /** The mean distance of all losses, in nats. */
  readonly mean_loss: number;
  /** The distance of the update from the repeated one (updateDistance). A flipped sign of one value in four hundred gives 0.1. */
  readonly update: number;
}

/*
 * On the same kind of processor nothing differs. On another one rounding errors grow: in the small model of `bench tolerance` they cannot
 * be seen; in the demo they grow from nothing over 0.02 and 0.15 to 0.4 within three rounds, some five rounds after the worker started afresh.
 */
const FOLLOWED_NEAR: FollowedTolerance = { mean_loss: 0.002, update: 0.1 };
const FOLLOWED_UNMEASURED: FollowedTolerance = { mean_loss: 0.01, update: 0.2 };
/** How many times as far the next round may be off, at most. */
const GROWTH = 20;
/** A re-execution that may be off this far says nothing any more: it allows a flipped sign of one value in twenty-five. */
const LOST = 0.4;

/**
 * The bounds for work done on one runtime class and re-executed on another from the same state, when the update of the round before was
 * `apart` from the repeated one; null where the differences have grown too large.
 */
export function followedTolerance(worker: string, validator: string, apart: number): FollowedTolerance | null {
  const near = MEASURED.includes(worker) && MEASURED.includes(validator) ? FOLLOWED_NEAR : FOLLOWED_UNMEASURED;
  const update = Math.max(near.update, GROWTH * apart);
  return update < LOST ? { ...near, update } : null;
}

/**
 * How far what a stage hands on may be from its repetition: the norm of the difference over the norm of the repeated one. `unmoved`: before the
 * first step of the round, where both have the same weights; `moved`: after it.
 */
export interface HandedTolerance {
  readonly unmoved: number;
  readonly moved: number;
}

const HANDED_NEAR: HandedTolerance = { unmoved: 0.001, moved: 0.02 };
/** Products in 16 bits have three digits. */
const HANDED_UNMEASURED: HandedTolerance = { unmoved: 0.01, moved: 0.05 };

/** The bounds for payloads of one runtime class that are computed again on another. */
export const handedTolerance = (worker: string, validator: string): HandedTolerance =>
  MEASURED.includes(worker) && MEASURED.includes(validator) ? HANDED_NEAR : HANDED_UNMEASURED;
