// Inner training: what one device does between two outer steps: AdamW on its own batches (DiLoCo, arXiv 2311.08105).
import type { Weights } from '../model/config.ts';

/** One batch of sequences: `targets[i]` is the token after `tokens[i]`; both are batch × context, row-major. */
export interface Batch {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
  /** What to learn from instead of the targets, where a teacher has said it. */
  readonly soft?: SoftBatch;
}

/** A distribution for each target: its tokens and their probabilities, which sum to 1, batch × context × k, row-major. */
export interface SoftBatch {
  readonly ids: Int32Array;
  readonly weights: Float32Array;
}

/** The result of one inner step: the mean cross-entropy of the targets in nats before the step, and the gradient's norm before clipping. */
export interface StepResult {
  readonly loss: number;
  readonly gradient_norm: number;
}

/** AdamW's moments and their number of steps; a worker keeps them across a restart. */
export interface OptimiserState {
  readonly steps: number;
  readonly first: Weights;
  readonly second: Weights;
}

/** A model in training on one device: forward, backward, clipping and AdamW as one graph. */
export interface Trainer {
  /** Replaces the weights; the moments stay, because a worker keeps its own AdamW state across rounds. */
  setWeights(weights: Weights): Promise<void>;
  weights(): Promise<Weights>;
  step(batch: Batch, learning_rate: number): Promise<StepResult>;
  optimiserState(): Promise<OptimiserState>;
  setOptimiserState(state: OptimiserState): Promise<void>;
  close(): Promise<void>;
}

/** A round's inner steps: a worker takes them, and a validator that re-executes its work takes them again. */
export interface InnerSteps {
  readonly steps: number;
  batch(step: number): Promise<Batch>;
  learning_rate(step: number): number;
  /** Called after each step, with the number of steps done. */
  progress(steps: number, loss: number): Promise<void>;
  /** Asked before each step whether to go on. */
  more(): boolean;
}

/** The result of inner steps. */
export interface Trained {
  /** The loss of each step, in nats. These and the weights are finite. */
  readonly losses: readonly number[];
  /** Weights before minus weights after. */
  readonly delta: Weights;
}

/**
 * Trains from `weights` for at most `steps` steps, as long as `more` returns true. The trainer keeps its moments.
 * null: the loss or the weights became infinite or NaN, and the trainer's state is useless.
 */
export async function trainSteps(trainer: Trainer, weights: Weights, plan: InnerSteps): Promise<Trained | null> {
  await trainer.setWeights(weights);
  const losses: number[] = [];
  while (losses.length < plan.steps && plan.more()) {
    const step = losses.length;
    const { loss } = await trainer.step(await plan.batch(step), plan.learning_rate(step));
    if (!Number.isFinite(loss)) return null;
    losses.push(loss);
    await plan.progress(losses.length, loss);
  }
  const delta = changeBetween(weights.keys(), weights, await trainer.weights());
  return delta && { losses, delta };
}

/** What has become of these weights: before minus after, in new memory; null where that is not finite. */
export function changeBetween(names: Iterable<string>, before: Weights, after: Weights): Weights | null {
  const delta = new Map<string, Float32Array>();
  for (const name of names) {
    const [was, is] = [before.get(name)!, after.get(name)!];
    const change = new Float32Array(was.length);
    for (let i = 0; i < change.length; i++) {
      change[i] = was[i] - is[i];
      if (!Number.isFinite(change[i])) return null;
    }
    delta.set(name, change);
  }
  return delta;
}
