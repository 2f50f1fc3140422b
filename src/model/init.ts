// A model's initial weights: normally distributed, with a larger deviation in narrow models, the same bits on every machine.
import { type Random, seededRandom } from '../protocol/random.ts';
import { sizeOf } from '../tensor/shape.ts';
import { type LlamaConfig, parameterSpecs, type Weights } from './config.ts';

/** GPT-2's 0.02 at its width of 768, growing as 1/√width up to this bound: it trained best at widths 64 and 128 (docs/experiments.md). */
const LARGEST_DEVIATION = 0.05;
const VARIANCE_TIMES_WIDTH = 0.32;
const UNIFORMS = 12; // the sum of so many has variance 1 (Irwin–Hall); logarithms and cosines differ between engines, sums do not

/** A number from approximately the standard normal distribution, computed from uniform integers by sums only. */
export function normal(random: Random): number {
  let sum = 0;
  for (let i = 0; i < UNIFORMS; i++) sum += random.uint32();
  return sum / 2 ** 32 - UNIFORMS / 2;
}

/**
 * Initial weights: matrices normal, projections back into the residual stream scaled by 1/√(2 · layers) as in GPT-2,
 * norms 1, biases 0. They follow from config and seed alone, each for itself: `specs` may be some of the model's parameters.
 */
export function initialWeights(config: LlamaConfig, seed: string | number, specs = parameterSpecs(config)): Weights {
  const deviation = Math.min(LARGEST_DEVIATION, Math.sqrt(VARIANCE_TIMES_WIDTH / config.hidden_size));
  const residual = deviation / Math.sqrt(2 * config.num_hidden_layers);
  const weights = new Map<string, Float32Array>();
  for (const { name, shape, decay } of specs) {
    const values = new Float32Array(sizeOf(shape));
    if (!decay) values.fill(name.endsWith('.bias') ? 0 : 1);
    else {
      const scale = /\.(o_proj|down_proj)\.weight$/.test(name) ? residual : deviation;
      // Each parameter has its own random stream, so that a weight does not depend on the parameters before it.
      const random = seededRandom('initial weights', seed, name);
      for (let i = 0; i < values.length; i++) values[i] = normal(random) * scale;
    }
    weights.set(name, values);
  }
  return weights;
}
