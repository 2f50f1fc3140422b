// A model's first weights: normal with the scale of Llama's and GPT-2's initializer_range, the same bits on every machine.
import { type Random, seededRandom } from '../protocol/random.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';

const STANDARD_DEVIATION = 0.02; // GPT-2's initializer_range
const UNIFORMS = 12; // their sum has variance 1 (Irwin–Hall); logarithms and cosines differ between engines, sums do not

/** A number from close to the standard normal distribution, by sums of uniform integers only. */
function normal(random: Random): number {
  let sum = 0;
  for (let i = 0; i < UNIFORMS; i++) sum += random.uint32();
  return sum / 2 ** 32 - UNIFORMS / 2;
}

/**
 * Weights for training from nothing: matrices normal(0, 0.02), norms 1. They follow from config and seed alone.
 * GPT-2's smaller projections back into the residual stream cost these models 0.03 of loss (docs/experiments.md).
 */
export function initialWeights(config: LlamaConfig, seed: string | number): Weights {
  const weights = new Map<string, Float32Array>();
  for (const { name, shape, decay } of parameterSpecs(config)) {
    const values = new Float32Array(shape.reduce((size, dimension) => size * dimension, 1));
    if (!decay) values.fill(1);
    else {
      // One stream a parameter: a weight does not depend on what stands before it.
      const random = seededRandom('initial weights', seed, name);
      for (let i = 0; i < values.length; i++) values[i] = normal(random) * STANDARD_DEVIATION;
    }
    weights.set(name, values);
  }
  return weights;
}
