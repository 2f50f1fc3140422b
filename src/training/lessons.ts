// Trains a model from its first weights on batches that the caller draws, outside any run.
import type { LlamaConfig, Weights } from '../model/config.ts';
import type { Runtime } from '../tensor/runtime.ts';
import type { Batch, Trainer } from './inner.ts';
import { createTrainer, type TrainerOptions } from './trainer.ts';

export interface Lessons extends TrainerOptions {
  readonly first: Weights;
  readonly steps: number;
  batchOf(step: number): Batch;
  rateOf(step: number): number;
  /** Sees each step's loss, and the trainer as the step has left it. */
  after?(step: number, loss: number, trainer: Trainer): Promise<void>;
}

/** Resolves with the weights after the last step. */
export async function learn(runtime: Runtime, config: LlamaConfig, lessons: Lessons): Promise<Weights> {
  const { first, steps, batchOf, rateOf, after, ...options } = lessons;
  const trainer = await createTrainer(runtime, config, options);
  try {
    await trainer.setWeights(first);
    for (let step = 0; step < steps; step++) {
      const { loss } = await trainer.step(batchOf(step), rateOf(step));
      await after?.(step, loss, trainer);
    }
    return await trainer.weights();
  } finally {
    await trainer.close();
  }
}
