// AdamW (arXiv 1711.05101) with clipping by the global norm of the gradients, as nodes of a graph.
import type { Graph, Value } from '../tensor/graph.ts';
import { add, div, minimum, mul, sqrt, sub } from '../tensor/ops.ts';
import { sumOfSquares } from '../tensor/ops-shape.ts';
import type { ParameterSpec } from './config.ts';

/** AdamW's constants. `clip` is the largest global norm of the gradients; `epsilon` is added to the root of the second moment. */
export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weight_decay: number;
  readonly clip: number;
}

/** What PyTorch's clip_grad_norm_ adds to the norm before it divides. */
const CLIP_EPSILON = 1e-6;

/** The names of the states that hold AdamW's moments of a parameter. */
export function momentNames(parameter: string): { first: string; second: string } {
  return { first: `${parameter}/first_moment`, second: `${parameter}/second_moment` };
}

/**
 * The sum of the squares of all elements of gradients in the parameters' order, a scalar. It is summed from the head down: ONNX Runtime
 * orders nodes depth first from their consumers, so each weight's gradient is computed as early as the backward pass allows, and its
 * inputs are freed.
 */
export function sumOfAllSquares(gradients: readonly Value[]): Value {
  return gradients
    .toReversed()
    .map(sumOfSquares)
    .reduce((sum, part) => add(sum, part));
}

/** A parameter as a state of the graph, with the gradient of the loss with respect to it. */
export interface Update {
  readonly spec: ParameterSpec;
  readonly weight: Value;
  readonly gradient: Value;
}

/**
 * Advances parameters and their moments, which become states of the graph; `norm` is the global norm of all gradients. With `share`, a
 * scalar, the gradients are the given ones times it, and `norm` is theirs.
 * Returns the parameters' next values, each computed after everything else of its update.
 * Declares the inputs learning_rate, and bias_correction1 and 2 (1 - βᵗ), each [].
 */
export function adamw(
  graph: Graph,
  updates: readonly Update[],
  norm: Value,
  { beta1, beta2, epsilon, weight_decay, clip }: AdamwOptions,
  share?: Value,
): Value[] {
  const learningRate = graph.input('learning_rate', 'float32', []);
  const correction1 = graph.input('bias_correction1', 'float32', []);
  const correction2 = graph.input('bias_correction2', 'float32', []);
  const clipped = minimum(div(clip, add(norm, CLIP_EPSILON)), 1);
  const scale = share ? mul(clipped, share) : clipped;
  // m̂ / (√v̂ + ε) = m · (√c2 / c1) / (√v + ε √c2): the corrections go into two scalars.
  const root2 = sqrt(correction2);
  const step = div(mul(learningRate, root2), correction1);
  const epsilon2 = mul(root2, epsilon);
  const keep = sub(1, mul(learningRate, weight_decay));
  const share1 = mul(scale, 1 - beta1);
  const share2 = mul(mul(scale, scale), 1 - beta2);

  return updates.map(({ spec, weight, gradient: g }) => {
    const names = momentNames(spec.name);
    const first = graph.state(names.first, spec.shape);
    const second = graph.state(names.second, spec.shape);
    const nextFirst = add(mul(first, beta1), mul(g, share1));
    const nextSecond = add(mul(second, beta2), mul(mul(g, g), share2));
    const change: Value = div(mul(nextFirst, step), add(sqrt(nextSecond), epsilon2));
    graph.advance(first, nextFirst);
    graph.advance(second, nextSecond);
    const next = sub(spec.decay ? mul(weight, keep) : weight, change);
    graph.advance(weight, next);
    return next;
  });
}
