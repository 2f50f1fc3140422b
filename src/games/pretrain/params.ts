// The settings of a pre-training run, as its owner writes them, and what follows from them.
import { z } from 'zod';
import { LlamaConfigSchema, type ParameterSpec, type Weights } from '../../model/config.ts';
import { count, hash } from '../../protocol/schemas.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { learningRate } from '../../training/schedule.ts';
import { LIMIT_TOP } from '../../training/soft-shards.ts';
import { SparseOptionsSchema } from '../../training/sparse.ts';
import type { Round } from '../game.ts';

/** A run's settings, as the owner writes them. */
export const PretrainParamsSchema = z.object({
  model: LlamaConfigSchema,
  /** The dataset's manifest. */
  dataset: hash,
  batch: z.int().min(1).max(4096),
  context: z.int().min(2).max(65_536),
  /** The most inner steps that a worker does in one round. */
  inner_steps: z.int().min(1).max(100_000),
  learning_rate: z.number().positive().max(1),
  min_learning_rate: z.number().positive().max(1),
  warmup_steps: count,
  adamw: z
    .object({
      beta1: z.number().min(0).lt(1).default(0.9),
      beta2: z.number().min(0).lt(1).default(0.99),
      epsilon: z.number().positive().default(1e-8),
      weight_decay: z.number().min(0).default(0.1),
      clip: z.number().positive().default(1),
    })
    .prefault({}),
  sparse: SparseOptionsSchema.prefault({}),
  /** Learning from a teacher: `weight` of its `top` likeliest tokens, which lie beside the dataset's shards, the rest from the text; null: from text alone. */
  distil: z
    .strictObject({ top: z.int().min(1).max(LIMIT_TOP), weight: z.number().gt(0).max(1) })
    .nullable()
    .default(null),
  shards_per_round: z.int().min(1).max(64).default(2),
  /** How many validation sequences a validator measures a model on. */
  evaluation_sequences: z.int().min(1).max(100_000).default(96),
});
export type PretrainParams = z.infer<typeof PretrainParamsSchema>;

export interface PretrainTask {
  readonly params: PretrainParams;
  readonly round: Round;
  readonly peer: string;
  readonly weights: Weights;
}

/** The number of values in a model. */
export function parameterCount(specs: readonly ParameterSpec[]): number {
  return specs.reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
}

/** Weights, their gradients, two moments of each, and the copies of them between which a round's difference is taken. */
const KEPT_OF_WEIGHTS = 8;

/**
 * The memory that training takes at the least: measured peaks were 1.5 to 3.7 times as much (docs/experiments.md). Of the activations of
 * a step those are counted that the backward pass cannot do without: of each layer its four vectors of the width, two of the MLP, the
 * attention's probabilities; and the logits.
 */
export function leastMemory({ model, batch, context }: PretrainParams, dense_bytes: number): number {
  const { hidden_size, intermediate_size, num_attention_heads, num_hidden_layers, vocab_size } = model;
  const of_a_layer = 4 * hidden_size + 2 * intermediate_size + num_attention_heads * context;
  return KEPT_OF_WEIGHTS * dense_bytes + 4 * batch * context * (num_hidden_layers * of_a_layer + vocab_size);
}

/** The schedule runs over the whole run at its nominal length, so that workers of every speed agree on the rate. */
export function learningRateAt(
  params: Pick<PretrainParams, 'inner_steps' | 'warmup_steps' | 'learning_rate' | 'min_learning_rate'>,
  round: Round,
  step: number,
): number {
  return learningRate(round.number * params.inner_steps + step, {
    total_steps: round.rounds * params.inner_steps,
    warmup_steps: params.warmup_steps,
    learning_rate: params.learning_rate,
    min_learning_rate: params.min_learning_rate,
  });
}
