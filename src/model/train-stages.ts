// The training step of train-graph.ts cut into graphs that run in parallel, each on a thread of its own, and once for each of its micro-batches.
import { Graph, type Value } from '../tensor/graph.ts';
import { add, cast, less, mul, sqrt } from '../tensor/ops.ts';
import { gatherRows } from '../tensor/ops-index.ts';
import { concat, expand, reduceSum, reshape, slice } from '../tensor/ops-shape.ts';
import type { CompiledGraph, StagedGraph, TensorMap } from '../tensor/runtime.ts';
import { sizeOf } from '../tensor/shape.ts';
import { type AdamwOptions, adamw, sumOfAllSquares } from './adamw.ts';
import { type LlamaConfig, type ParameterSpec, parameterSpecs } from './config.ts';
import { parameterStates } from './llama.ts';
import type { SoftTargets } from './llama-loss.ts';
import {
  ACTIVATION_BYTES,
  activationBytes,
  type BatchShape,
  inWeightShape,
  lossAndGradients,
  type SoftShape,
  softInputs,
} from './train-graph.ts';

const sum = (values: readonly Value[]): Value => values.reduce((left, right) => add(left, right));

/**
 * One training step for up to `width` threads; inputs, outputs and parameter states as in `trainGraph`. First each thread
 * adds up the gradients of its micro-batches, then all threads' gradients for its share of the parameters, then it updates these.
 * With several threads the order of summation is not that of one graph, so the last bits differ. With one it is: what it gains is memory, because
 * the graph has one micro-batch and not all, and gradients are summed where they stay. null: the batch is not divided, and one graph does it.
 */
export function trainStages(
  config: LlamaConfig,
  options: BatchShape & AdamwOptions & SoftShape,
  width: number,
): StagedGraph | null {
  const { batch } = options;
  const size = stagedMicroBatch(config, options, width);
  if (size === batch) return null;
  const parts = Math.min(width, batch / size);
  const { graph, gradients } = gradientPart(config, options, size);
  const shares = sharesOf(gradients, parts);
  const names = [LOSS, ...gradients.map(({ spec }) => gradientOf(spec.name))];
  const indices = Array.from({ length: parts }, (_, i) => i);
  return {
    stages: [
      indices.map((part) => ({
        graph,
        memory: new Map(names.map((name) => [name, inPart(name, part)])),
        runs: runsOf(batch, size, parts, part),
      })),
      shares.map((share, part) => ({ graph: sumPart(share, parts, part) })),
      shares.map((share, part) => ({ graph: updatePart(share, options, parts, part) })),
    ],
    outputs: ['loss', 'gradient_norm'],
    scratch: indices.flatMap((part) => names.map((name) => inPart(name, part))),
  };
}

const LOSS = 'loss';
const gradientOf = (parameter: string): string => `${parameter}/gradient`;
const inPart = (name: string, part: number): string => `${name}/${part}`;

/** The micro-batch size with which the busiest thread has the least work; the largest such size with which all threads keep to the usual limit. */
function stagedMicroBatch(config: LlamaConfig, { batch, context }: BatchShape, width: number): number {
  const sizes = Array.from({ length: batch }, (_, i) => batch - i).filter((size) => batch % size === 0);
  const fitting = sizes.filter(
    (size) => size === 1 || width * activationBytes(config, size, context) <= ACTIVATION_BYTES,
  );
  const most = (size: number): number => Math.ceil(batch / size / width) * size;
  return fitting.reduce((best, size) => (most(size) < most(best) ? size : best));
}

/** The sequences of a part's micro-batches, which the parts take in turns. */
function runsOf(batch: number, size: number, parts: number, part: number): TensorMap[] {
  const runs: TensorMap[] = [];
  for (let first = part * size; first < batch; first += parts * size) {
    const data = Int32Array.from({ length: size }, (_, i) => first + i);
    runs.push({ sequences: { dtype: 'int32', shape: [size], data } });
  }
  return runs;
}

/** A parameter, and the shape of the states that sum up its gradient. */
interface GradientSpec {
  readonly spec: ParameterSpec;
  readonly shape: readonly number[];
  readonly transposed: boolean;
}

/** Assigns whole parameters to parts, the largest first, each to the part with the least so far. Each share is in canonical order. */
function sharesOf(gradients: readonly GradientSpec[], parts: number): GradientSpec[][] {
  const loads = new Array<number>(parts).fill(0);
  const partOf = new Map<GradientSpec, number>();
  for (const gradient of gradients.toSorted((a, b) => sizeOf(b.shape) - sizeOf(a.shape))) {
    const part = loads.indexOf(Math.min(...loads));
    partOf.set(gradient, part);
    loads[part] += sizeOf(gradient.shape);
  }
  return loads.map((_, part) => gradients.filter((gradient) => partOf.get(gradient) === part));
}

/**
 * Stage 1. Adds the gradients of the `sequences` (int32 [size], of the batch) to a state for each parameter, and their
 * share of the mean loss to the state `loss`.
 */
function gradientPart(
  config: LlamaConfig,
  shape: BatchShape & SoftShape,
  size: number,
): { graph: CompiledGraph; gradients: GradientSpec[] } {
  const { batch, context } = shape;
  const graph = new Graph();
  const sequences = graph.input('sequences', 'int32', [size]);
  const tokens = gatherRows(graph.input('tokens', 'int32', [batch, context]), sequences);
  const targets = gatherRows(graph.input('targets', 'int32', [batch, context]), sequences);
  const parameters = parameterStates(graph, config);
  const whole = softInputs(graph, shape);
  const options = { micro_batch: size, soft: whole && softOf(whole, sequences) };
  const { loss, gradient } = lossAndGradients(config, parameters, tokens, targets, options, batch * context);
  const addTo = (name: string, value: Value): void => {
    const sum = graph.state(name, value.shape);
    graph.advance(sum, add(sum, value));
  };
  addTo(LOSS, loss);
  const gradients = parameterSpecs(config).map((spec, i) => {
    const { sum, transposed } = gradient[i];
    addTo(gradientOf(spec.name), sum);
    return { spec, shape: sum.shape, transposed };
  });
  return { graph: graph.compile(), gradients };
}

/** The distributions of some of the batch's sequences. */
function softOf({ ids, weights }: SoftTargets, sequences: Value): SoftTargets {
  const [batch, context, k] = ids.shape;
  const rows = (x: Value): Value =>
    reshape(gatherRows(reshape(x, [batch, context * k]), sequences), [sequences.shape[0], context, k]);
  return { ids: rows(ids), weights: rows(weights) };
}

/** Stage 2. Moves all parts' gradients for these parameters to part 0 → `squares/PART`, the sum of their squares. */
function sumPart(share: readonly GradientSpec[], parts: number, part: number): CompiledGraph {
  const graph = new Graph();
  const totals = share.map(({ spec, shape }) => {
    const gradients = Array.from({ length: parts }, (_, i) => graph.state(inPart(gradientOf(spec.name), i), shape));
    const total = sum(gradients);
    if (parts > 1) graph.advance(gradients[0], total);
    for (const gradient of gradients.slice(1)) graph.advance(gradient, zerosAfter(total, shape));
    return total;
  });
  graph.output(inPart('squares', part), sumOfAllSquares(totals));
  return graph.compile();
}

/** Stage 3. AdamW for these parameters; part 0 also returns `loss` and `gradient_norm`. */
function updatePart(share: readonly GradientSpec[], options: AdamwOptions, parts: number, part: number): CompiledGraph {
  const graph = new Graph();
  const indices = Array.from({ length: parts }, (_, i) => i);
  const norm = sqrt(sum(indices.map((i) => graph.input(inPart('squares', i), 'float32', []))));
  const sums = share.map(({ spec, shape }) => graph.state(inPart(gradientOf(spec.name), 0), shape));
  const updates = share.map(({ spec, transposed }, i) => ({
    spec,
    weight: graph.state(spec.name, spec.shape),
    gradient: inWeightShape({ sum: sums[i], transposed }),
  }));
  const next = adamw(graph, updates, norm, options);
  sums.forEach((sum, i) => {
    graph.advance(sum, zerosAfter(next[i], sum.shape));
  });
  if (part === 0) {
    const losses = indices.map((i) => graph.state(inPart(LOSS, i), []));
    // A sum of one too is a value of its own, which is there before its state is emptied.
    const loss = reduceSum(
      concat(
        losses.map((share) => reshape(share, [1])),
        0,
      ),
      [0],
    );
    for (const share of losses) graph.advance(share, zerosAfter(loss, []));
    graph.output('loss', loss);
    graph.output('gradient_norm', norm);
  }
  return graph.compile();
}

/** Zeros that are written only after a value is there; zeros also where the value is NaN. */
export function zerosAfter(value: Value, shape: readonly number[]): Value {
  const corner = value.shape.reduce((x, _, axis) => slice(x, axis, 0, 1), value);
  const one = reshape(corner, []);
  return expand(mul(cast(less(one, one), 'float32'), 0), shape);
}
