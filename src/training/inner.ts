// Inner training: what one device does between two outer steps, AdamW on its own batches (DiLoCo, arXiv 2311.08105).
import type { Weights } from '../model/config.ts';

/** One batch of sequences: `targets[i]` is the token after `tokens[i]`; both are batch × context, row-major. */
export interface Batch {
  readonly tokens: Int32Array;
  readonly targets: Int32Array;
}

/** What one inner step reports: the mean cross-entropy in nats before the step, and the gradient's norm before clipping. */
export interface StepResult {
  readonly loss: number;
  readonly gradient_norm: number;
}

/** AdamW's moments and how many steps they have seen; what a worker keeps across a restart. */
export interface OptimiserState {
  readonly steps: number;
  readonly first: Weights;
  readonly second: Weights;
}

/** A model in training on one device: forward, backward, clipping and AdamW as one graph. */
export interface Trainer {
  /** Replaces the weights; the moments stay (a worker keeps its own AdamW state over rounds). */
  setWeights(weights: Weights): Promise<void>;
  weights(): Promise<Weights>;
  step(batch: Batch, learning_rate: number): Promise<StepResult>;
  optimiserState(): Promise<OptimiserState>;
  setOptimiserState(state: OptimiserState): Promise<void>;
  close(): Promise<void>;
}
