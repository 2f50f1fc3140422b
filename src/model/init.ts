// A model's first weights: normal with GPT-2's and nanoGPT's scales, the same bits on every machine.
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
 * Weights for training from nothing: matrices normal(0, 0.02), projections back into the residual stream scaled by
 * 1/√(2 · layers), norms 1. They follow from config and seed alone.
 */
export function initialWeights(config: LlamaConfig, seed: string | number): Weights {
  const residual = STANDARD_DEVIATION / Math.sqrt(2 * config.num_hidden_layers);
  const weights = new Map<string, Float32Array>();
  for (const { name, shape, decay } of parameterSpecs(config)) {
    const values = new Float32Array(shape.reduce((size, dimension) => size * dimension, 1));
    if (!decay) values.fill(1);
    else {
      const scale = /\.(o_proj|down_proj)\.weight$/.test(name) ? residual : STANDARD_DEVIATION;
      // One stream a parameter: a weight does not depend on what stands before it.
      const random = seededRandom('initial weights', seed, name);
      for (let i = 0; i < values.length; i++) values[i] = normal(random) * scale;
    }
    weights.set(name, values);
  }
  return weights;
}
