// The graphs that training and judging run: losses, logits, and a whole training step with AdamW (arXiv 1711.05101).
import { TensorError } from '../tensor/errors.ts';
import { gradients } from '../tensor/gradient.ts';
import { Graph, type Value } from '../tensor/graph.ts';
import { add, div, minimum, mul, sqrt, sub } from '../tensor/ops.ts';
import { reduceMean, reshape, slice, sumOfSquares } from '../tensor/ops-shape.ts';
import type { CompiledGraph } from '../tensor/runtime.ts';
import { type LlamaConfig, parameterSpecs } from './config.ts';
import { hiddenStates, type LlamaOptions, linear, type Parameters, parameter, parameterStates } from './llama.ts';
import { meanLoss, tokenLosses } from './llama-loss.ts';

/** The shape of a batch: sequences, and tokens in each. */
export interface BatchShape {
  readonly batch: number;
  readonly context: number;
}

/** AdamW's constants. `clip` is the largest global norm of the gradients; `epsilon` is added to the root of the second moment. */
export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weight_decay: number;
  readonly clip: number;
}

export interface TrainGraphOptions extends BatchShape, AdamwOptions, LlamaOptions {
  /** Rows of the head computed at once; by default as many as keep their logits near LOGITS_BYTES. */
  readonly loss_rows?: number;
  /**
   * Sequences that go forward and backward together; their gradients are summed. Divides the batch.
   * By default as many as keep one layer's activations near ACTIVATION_BYTES.
   */
  readonly micro_batch?: number;
}

/** Logits of one chunk: small enough for a processor's last cache, large enough for its matrix products. */
const LOGITS_BYTES = 8 * 2 ** 20;
/** One activation of hidden_size for a micro-batch: about a processor's second cache, where products and sums run fastest. */
const ACTIVATION_BYTES = 2 ** 20;
/** Each micro-batch repeats the model's nodes in the graph: more would cost more to load than they gain. */
const LIMIT_MICRO_BATCHES = 8;
/** What PyTorch's clip_grad_norm_ adds to the norm before it divides. */
const CLIP_EPSILON = 1e-6;

function lossRows(config: LlamaConfig, { batch, context }: BatchShape): number {
  return Math.min(batch * context, Math.max(1, Math.floor(LOGITS_BYTES / (4 * config.vocab_size))));
}

function microBatch(config: LlamaConfig, { batch, context }: BatchShape): number {
  const divisors = Array.from({ length: batch }, (_, i) => batch - i).filter((size) => batch % size === 0);
  const allowed = divisors.filter((size) => batch / size <= LIMIT_MICRO_BATCHES);
  const bytes = (size: number): number => 4 * size * context * config.hidden_size;
  return allowed.find((size) => bytes(size) <= ACTIVATION_BYTES) ?? allowed.at(-1)!;
}

function start(config: LlamaConfig, { batch, context }: BatchShape) {
  const graph = new Graph();
  const tokens = graph.input('tokens', 'int32', [batch, context]);
  return { graph, tokens, parameters: parameterStates(graph, config) };
}

/** tokens → logits [batch, context, vocab_size]. */
export function logitsGraph(config: LlamaConfig, shape: BatchShape): CompiledGraph {
  const { graph, tokens, parameters } = start(config, shape);
  const logits = linear(hiddenStates(config, parameters, tokens), parameter(parameters, 'lm_head'));
  graph.output('logits', reshape(logits, [shape.batch, shape.context, config.vocab_size]));
  return graph.compile();
}

/** tokens, targets → `losses` [batch]: the mean cross-entropy in nats of each sequence. */
export function lossGraph(config: LlamaConfig, shape: BatchShape & LlamaOptions): CompiledGraph {
  const { graph, tokens, parameters } = start(config, shape);
  const targets = reshape(graph.input('targets', 'int32', [shape.batch, shape.context]), [-1]);
  const hidden = hiddenStates(config, parameters, tokens, shape);
  const losses = tokenLosses(hidden, parameter(parameters, 'lm_head'), targets, lossRows(config, shape));
  graph.output('losses', reduceMean(reshape(losses, [shape.batch, shape.context]), [1]));
  return graph.compile();
}

/** The names of the states that hold AdamW's moments of a parameter. */
export function momentNames(parameter: string): { first: string; second: string } {
  return { first: `${parameter}/first_moment`, second: `${parameter}/second_moment` };
}

/** tokens, targets → `loss`, and `gradient/NAME` of every parameter. For tests of the gradients. */
export function gradientGraph(
  config: LlamaConfig,
  options: BatchShape & LlamaOptions & { loss_rows?: number; micro_batch?: number },
): CompiledGraph {
  const { graph, tokens, parameters } = start(config, options);
  const targets = graph.input('targets', 'int32', [options.batch, options.context]);
  const { loss, gradient: found } = lossAndGradients(config, parameters, tokens, targets, options);
  const names = [...parameters.keys()];
  graph.output('loss', loss);
  for (const [i, name] of names.entries()) graph.output(`gradient/${name}`, found[i]);
  return graph.compile();
}

/** The mean loss of a batch and its gradients by all parameters, one micro-batch after another. */
function lossAndGradients(
  config: LlamaConfig,
  parameters: Parameters,
  tokens: Value,
  targets: Value,
  options: BatchShape & LlamaOptions & { loss_rows?: number; micro_batch?: number },
): { loss: Value; gradient: readonly Value[] } {
  const { graph } = tokens;
  const { batch, context, micro_batch = microBatch(config, options) } = options;
  if (!Number.isInteger(micro_batch) || batch % micro_batch !== 0) {
    throw new TensorError('bad_argument', `micro_batch must divide the batch of ${batch}, got ${micro_batch}`);
  }
  const head = parameter(parameters, 'lm_head');
  const rows = options.loss_rows ?? lossRows(config, { batch: micro_batch, context });
  let losses: Value | undefined;
  let sums: readonly Value[] | undefined;
  for (let start = 0; start < batch; start += micro_batch) {
    const part = (x: Value): Value => slice(x, 0, start, start + micro_batch);
    const after = sums && zeroAfter(sums);
    const hidden = hiddenStates(config, parameters, part(tokens), { ...options, after });
    const loss = meanLoss(hidden, head, reshape(part(targets), [-1]), rows, batch * context);
    const found = gradients(loss, [...parameters.values()]);
    const before = sums;
    graph.untaped(() => {
      sums = before ? found.map((gradient, i) => add(before[i], gradient)) : found;
      losses = losses ? add(losses, loss) : loss;
    });
  }
  return { loss: losses!, gradient: sums! };
}

/** A scalar zero that can be computed only when all of these values are there: one element of each, times 0. */
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
 * Inputs: tokens and targets int32 [batch, context]; learning_rate, and bias_correction1 and 2 (1 - βᵗ), each [].
 * States: the parameters and their moments. Outputs: loss (before the step) and gradient_norm (before clipping), each [].
 */
export function trainGraph(config: LlamaConfig, options: TrainGraphOptions): CompiledGraph {
  const { graph, tokens, parameters } = start(config, options);
  const { batch, context, beta1, beta2, epsilon, weight_decay, clip } = options;
  const targets = graph.input('targets', 'int32', [batch, context]);
  const learningRate = graph.input('learning_rate', 'float32', []);
  const correction1 = graph.input('bias_correction1', 'float32', []);
  const correction2 = graph.input('bias_correction2', 'float32', []);

  const { loss, gradient } = lossAndGradients(config, parameters, tokens, targets, options);

  // Summed from the head down: ONNX Runtime orders nodes depth first from their consumers, so each weight's gradient is
  // computed as soon as the backward pass can, and what it needs is freed.
  const norm = sqrt(
    gradient
      .toReversed()
      .map(sumOfSquares)
      .reduce((sum, part) => add(sum, part)),
  );
  const scale = minimum(div(clip, add(norm, CLIP_EPSILON)), 1);
  // m̂ / (√v̂ + ε) = m · (√c2 / c1) / (√v + ε √c2): the corrections go into two scalars.
  const root2 = sqrt(correction2);
  const step = div(mul(learningRate, root2), correction1);
  const epsilon2 = mul(root2, epsilon);
  const keep = sub(1, mul(learningRate, weight_decay));
  const share1 = mul(scale, 1 - beta1);
  const share2 = mul(mul(scale, scale), 1 - beta2);

  parameterSpecs(config).forEach(({ name, shape, decay }, i) => {
    const weight = parameter(parameters, name.replace(/\.weight$/, ''));
    const names = momentNames(name);
    const first = graph.state(names.first, shape);
    const second = graph.state(names.second, shape);
    const g = gradient[i];
    const nextFirst = add(mul(first, beta1), mul(g, share1));
    const nextSecond = add(mul(second, beta2), mul(mul(g, g), share2));
    const change: Value = div(mul(nextFirst, step), add(sqrt(nextSecond), epsilon2));
    graph.advance(first, nextFirst);
    graph.advance(second, nextSecond);
    graph.advance(weight, sub(decay ? mul(weight, keep) : weight, change));
  });
  graph.output('loss', loss);
  graph.output('gradient_norm', norm);
  return graph.compile();
}
