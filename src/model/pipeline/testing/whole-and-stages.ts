// A small model in stages against the whole of it: the same micro-batches, and how far gradients and losses are apart.
import type { Runtime, TensorData } from '../../../tensor/runtime.ts';
import { type LlamaConfig, type LlamaConfigInput, LlamaConfigSchema, type Weights } from '../../config.ts';
import { gradientGraph } from '../../testing/graphs.ts';
import { randomWeights } from '../../testing/random-weights.ts';
import type { Stage } from '../stage.ts';
import { backwardThrough, equalStages, forwardThrough, openStages } from './in-turn.ts';

export const [BATCH, CONTEXT, MICRO_BATCHES] = [2, 6, 2];
export const adamw = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1e6 };
export const shape = { batch: BATCH, context: CONTEXT };

export const configOf = (more: Partial<LlamaConfigInput> = {}): LlamaConfig =>
  LlamaConfigSchema.parse({
    ...{ vocab_size: 13, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 4 },
    ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 8, ...more },
  });

/** The micro-batches of a step, and all of them as one batch. */
const tokensOf = (seed: number) =>
  Int32Array.from({ length: MICRO_BATCHES * BATCH * CONTEXT }, (_, i) => (i * 7 + (i >> 2) * 5 + seed) % 13);
export const parts = (data: Int32Array) =>
  Array.from({ length: MICRO_BATCHES }, (_, i) => data.subarray(i * BATCH * CONTEXT, (i + 1) * BATCH * CONTEXT));
export const [tokens, targets] = [tokensOf(0), tokensOf(3)];
export const whole = (data: Int32Array): TensorData => ({
  dtype: 'int32',
  shape: [MICRO_BATCHES * BATCH, CONTEXT],
  data,
});

/** The largest difference, relative to the largest expected value; infinite where the lengths differ. */
export function worst(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [difference, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return difference / scale;
}

export async function gradientsOfWhole(runtime: Runtime, config: LlamaConfig, weights: Weights) {
  const program = await runtime.load(gradientGraph(config, { batch: MICRO_BATCHES * BATCH, context: CONTEXT }));
  await program.writeState(weights);
  const outputs = await program.run({ tokens: whole(tokens), targets: whole(targets) });
  await program.close();
  return outputs;
}

export async function learn(stages: readonly Stage[]): Promise<number> {
  let loss = 0;
  for (const [i, part] of parts(tokens).entries()) {
    const inputs = await forwardThrough(stages, part);
    loss += (await backwardThrough(stages, inputs, parts(targets)[i])) / MICRO_BATCHES;
  }
  return loss;
}

/**
 * The largest relative difference of a gradient or the loss between the model in so many stages and the whole on the same runtime, or on
 * another one, and where it is.
 */
export async function apartInStages(
  runtime: Runtime,
  config: LlamaConfig,
  counts: readonly number[],
  ofWhole = runtime,
): Promise<{ readonly off: number; readonly where: string }> {
  const weights = randomWeights(config, { spread: ([, columns]) => 2 / Math.sqrt(columns) });
  const expected = await gradientsOfWhole(ofWhole, config, weights);
  let most = { off: 0, where: 'nowhere' };
  const compare = (off: number, where: string) => {
    if (!(off <= most.off)) most = { off, where }; // a NaN is the most
  };
  for (const count of counts) {
    const ranges = equalStages(count, config.num_hidden_layers);
    const stages = await openStages(runtime, config, ranges, { ...shape, adamw }, weights);
    compare(Math.abs((await learn(stages)) / expected.loss.data[0] - 1), `loss of ${count} stages`);
    for (const stage of stages) {
      for (const [parameter, sum] of await stage.gradients()) {
        const mean = sum.map((value) => value / MICRO_BATCHES);
        compare(worst(mean, expected[`gradient/${parameter}`].data), `${parameter} in ${count} stages`);
      }
      await stage.close();
    }
  }
  return most;
}
