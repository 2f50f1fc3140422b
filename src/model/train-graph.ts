// The graphs that training and judging run: losses, and a whole training step with its gradients.
import { TensorError } from '../tensor/errors.ts';
import { gradients } from '../tensor/gradient.ts';
import { Graph, type Value } from '../tensor/graph.ts';
import { add, mul, sqrt } from '../tensor/ops.ts';
import { beforeTransposed, transposed } from '../tensor/ops-matrix.ts';
import { reduceMean, reshape, slice } from '../tensor/ops-shape.ts';
import type { CompiledGraph } from '../tensor/runtime.ts';
import { sizeOf } from '../tensor/shape.ts';
import { type AdamwOptions, adamw, sumOfAllSquares } from './adamw.ts';
import { type LlamaConfig, parameterSpecs } from './config.ts';
import { hiddenStates, type LlamaOptions, type Parameters, parameter, parameterStates } from './llama.ts';
import { meanLoss, type SoftTargets, softMeanLoss, tokenLosses } from './llama-loss.ts';

/** The shape of a batch: sequences, and tokens in each. */
export interface BatchShape {
  readonly batch: number;
  readonly context: number;
}

/** How the loss of a batch and its gradients are computed. */
export interface GradientOptions extends LlamaOptions {
  /** Rows of the head computed at once; by default as many as keep their logits near LOGITS_BYTES. */
  readonly loss_rows?: number;
  /**
   * How many sequences go forward and backward together; their gradients are summed. Must divide the batch.
   * By default as many as keep one layer's activations near ACTIVATION_BYTES.
   */
  readonly micro_batch?: number;
}

/** Whether there are distributions to learn from beside the targets, and of how many tokens each. */
export interface SoftShape {
  readonly soft_tokens?: number;
}

export interface TrainGraphOptions extends BatchShape, AdamwOptions, GradientOptions, SoftShape {}

/** The logits of one chunk: small enough for a processor's last-level cache, large enough for efficient matrix products. */
const LOGITS_BYTES = 8 * 2 ** 20;
/** One activation of hidden_size for a micro-batch: about a processor's second-level cache, where products and sums run fastest. */
export const ACTIVATION_BYTES = 2 ** 20;
/** Each micro-batch repeats the model's nodes in the graph, so more of them would cost more to load than they gain. */
const LIMIT_MICRO_BATCHES = 8;

/** The size of one activation of hidden_size for so many sequences. */
export function activationBytes(config: LlamaConfig, sequences: number, context: number): number {
  return 4 * sequences * context * config.hidden_size;
}

/** The logits that exist at once. */
export function logitsBytes(config: LlamaConfig, shape: BatchShape): number {
  return 4 * config.vocab_size * lossRows(config, shape);
}

/** As many rows of the head as keep their logits near LOGITS_BYTES. */
export function lossRows(config: LlamaConfig, { batch, context }: BatchShape): number {
  return Math.min(batch * context, Math.max(1, Math.floor(LOGITS_BYTES / (4 * config.vocab_size))));
}

function microBatch(config: LlamaConfig, { batch, context }: BatchShape): number {
  const divisors = Array.from({ length: batch }, (_, i) => batch - i).filter((size) => batch % size === 0);
  const allowed = divisors.filter((size) => batch / size <= LIMIT_MICRO_BATCHES);
  return allowed.find((size) => activationBytes(config, size, context) <= ACTIVATION_BYTES) ?? allowed.at(-1)!;
}

/** A graph with a batch's tokens and the model's parameters. */
export function startGraph(config: LlamaConfig, { batch, context }: BatchShape) {
  const graph = new Graph();
  const tokens = graph.input('tokens', 'int32', [batch, context]);
  return { graph, tokens, parameters: parameterStates(graph, config) };
}

/** tokens, targets → `losses` [batch]: the mean cross-entropy in nats of each sequence. */
export function lossGraph(config: LlamaConfig, shape: BatchShape & LlamaOptions): CompiledGraph {
  const { graph, tokens, parameters } = startGraph(config, shape);
  const targets = reshape(graph.input('targets', 'int32', [shape.batch, shape.context]), [-1]);
  const hidden = hiddenStates(config, parameters, tokens, shape);
  const losses = tokenLosses(hidden, parameter(parameters, 'lm_head'), targets, lossRows(config, shape));
  graph.output('losses', reduceMean(reshape(losses, [shape.batch, shape.context]), [1]));
  return graph.compile();
}

/** A weight's gradient, which may still have to be transposed. */
export interface Gradient {
  readonly sum: Value;
  readonly transposed: boolean;
}

/** A gradient in the shape of its weight. */
export function inWeightShape({ sum, transposed: turned }: Gradient): Value {
  return turned ? transposed(sum) : sum;
}

/**
 * The summed loss of these sequences divided by `count` tokens, and its gradients by all parameters, one micro-batch after another. If
 * `count` is their number of tokens it is the mean; a part of a batch divides by the tokens of the whole batch. With `soft` (ids and weights
 * [batch, context, k]) the gradients are those of the cross-entropy against these distributions; the loss is that of the targets still.
 */
export function lossAndGradients(
  config: LlamaConfig,
  parameters: Parameters,
  tokens: Value,
  targets: Value,
  options: GradientOptions & { readonly soft?: SoftTargets },
  count = sizeOf(tokens.shape),
): { loss: Value; gradient: readonly Gradient[] } {
  const { graph } = tokens;
  const [batch, context] = tokens.shape;
  const { micro_batch = microBatch(config, { batch, context }) } = options;
  if (!Number.isInteger(micro_batch) || batch % micro_batch !== 0) {
    throw new TensorError('bad-argument', `micro_batch must divide the batch of ${batch}, got ${micro_batch}`);
  }
  const head = parameter(parameters, 'lm_head');
  const rows = options.loss_rows ?? lossRows(config, { batch: micro_batch, context });
  let losses: Value | undefined;
  let sums: readonly Value[] | undefined;
  let transposing: readonly boolean[] = [];
  for (let start = 0; start < batch; start += micro_batch) {
    const part = (x: Value): Value => slice(x, 0, start, start + micro_batch);
    const after = sums && zeroAfter(sums);
    const hidden = hiddenStates(config, parameters, part(tokens), { ...options, after });
    const target = reshape(part(targets), [-1]);
    const { objective, loss } = options.soft
      ? softMeanLoss(hidden, head, target, softRows(options.soft, part), rows, count)
      : both(meanLoss(hidden, head, target, rows, count));
    const found = gradients(objective, [...parameters.values()]);
    const before = sums;
    const sources = found.map((gradient) => beforeTransposed(gradient));
    transposing = sources.map((source) => source !== null);
    graph.untaped(() => {
      sums = found.map((gradient, i) => {
        const part = sources[i] ?? gradient;
        return before ? add(before[i], part) : part;
      });
      losses = losses ? add(losses, loss) : loss;
    });
  }
  return { loss: losses!, gradient: sums!.map((sum, i) => ({ sum, transposed: transposing[i] })) };
}

/** What is learned from is what is told, where there are only targets. */
const both = (loss: Value) => ({ objective: loss, loss });

/** The distributions of some sequences, one row for each token. */
function softRows({ ids, weights }: SoftTargets, part: (x: Value) => Value): SoftTargets {
  const k = ids.shape.at(-1)!;
  return { ids: reshape(part(ids), [-1, k]), weights: reshape(part(weights), [-1, k]) };
}

/** The inputs for distributions: soft_ids int32 and soft_weights, each [batch, context, soft_tokens]. */
export function softInputs(
  graph: Graph,
  { batch, context, soft_tokens }: BatchShape & SoftShape,
): SoftTargets | undefined {
  if (soft_tokens === undefined) return undefined;
  const shape = [batch, context, soft_tokens];
  return { ids: graph.input('soft_ids', 'int32', shape), weights: graph.input('soft_weights', 'float32', shape) };
}

/** A scalar zero that depends on all of these values: one element of each, times 0. */
function zeroAfter(values: readonly Value[]): Value {
  return values[0].graph.untaped(() => {
    const elements = values.map((value) =>
      reshape(
        value.shape.reduce((corner, _, axis) => slice(corner, axis, 0, 1), value),
        [],
      ),
    );
    return mul(
      elements.reduce((sum, element) => add(sum, element)),
      0,
    );
  });
}

/**
 * One training step: forward, backward, clipping by the global norm, AdamW.
 * Inputs: tokens and targets int32 [batch, context], and those of softInputs; learning_rate, and bias_correction1 and 2 (1 - βᵗ), each [].
 * States: the parameters and their moments. Outputs: loss (before the step) and gradient_norm (before clipping), each [].
 */
export function trainGraph(config: LlamaConfig, options: TrainGraphOptions): CompiledGraph {
  const { graph, tokens, parameters } = startGraph(config, options);
  const targets = graph.input('targets', 'int32', [options.batch, options.context]);
  const soft = softInputs(graph, options);
  const { loss, gradient } = lossAndGradients(config, parameters, tokens, targets, { ...options, soft });

  const norm = sqrt(sumOfAllSquares(gradient.map(({ sum }) => sum)));
  const updates = parameterSpecs(config).map((spec, i) => ({
    spec,
    weight: parameters.get(spec.name)!,
    gradient: inWeightShape(gradient[i]),
  }));
  adamw(graph, updates, norm, options);
  graph.output('loss', loss);
  graph.output('gradient_norm', norm);
  return graph.compile();
}
