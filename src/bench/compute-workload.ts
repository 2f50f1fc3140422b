// What `bench compute` measures: two models, their batches and optimiser, for every engine the same.

import type { AdamwOptions } from '../model/adamw.ts';
import { type LlamaConfig, LlamaConfigSchema } from '../model/config.ts';

export interface Workload {
  readonly vocab: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly feed_forward: number;
  readonly context: number;
  readonly batch: number;
}

/** small: nanoGPT's "baby" size on characters. medium: what a laptop can train overnight. tiny: for tests of the bench. */
export const WORKLOADS: Readonly<Record<string, Workload>> = {
  small: { vocab: 65, layers: 4, heads: 4, width: 128, feed_forward: 352, context: 64, batch: 12 },
  medium: { vocab: 8192, layers: 6, heads: 6, width: 384, feed_forward: 1024, context: 256, batch: 8 },
  tiny: { vocab: 32, layers: 1, heads: 2, width: 16, feed_forward: 32, context: 8, batch: 2 },
};

export const ADAMW: AdamwOptions = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
export const LEARNING_RATE = 1e-3;

/** The settings of a workload's model, in the names that Llama's config has. */
export const shapeOf = ({ width, feed_forward, layers, heads, context }: Workload) => ({
  ...{ hidden_size: width, intermediate_size: feed_forward, num_hidden_layers: layers },
  ...{ num_attention_heads: heads, max_position_embeddings: context },
});

export const configOf = (workload: Workload): LlamaConfig =>
  LlamaConfigSchema.parse({ vocab_size: workload.vocab, ...shapeOf(workload) });

/**
 * Tokens by a linear congruence (Numerical Recipes' constants): compute-torch.py makes the same ones, so both engines
 * see the same batches. Squared towards zero, so that there is something to learn: how often each token comes.
 */
export function batchOf(
  { vocab, batch, context }: Workload,
  step: number,
): { tokens: Int32Array; targets: Int32Array } {
  let state = (step * 7919 + 1) >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const share = (state >>> 8) / 2 ** 24;
    return Math.floor(share * share * vocab);
  };
  const row = context + 1;
  const text = Int32Array.from({ length: batch * row }, next);
  const tokens = new Int32Array(batch * context);
  const targets = new Int32Array(batch * context);
  for (let i = 0; i < batch; i++) {
    tokens.set(text.subarray(i * row, i * row + context), i * context);
    targets.set(text.subarray(i * row + 1, (i + 1) * row), i * context);
  }
  return { tokens, targets };
}
