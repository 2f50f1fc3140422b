// The outer step: one round's updates become the next model, in plain arithmetic that gives the same bits on every machine
// (the aggregation of SparseLoCo, arXiv 2508.15706, with weights for workers of different speeds).
import type { ParameterSpec, Weights } from '../model/config.ts';
import { rounded } from '../model/dtypes.ts';
import { sizeOf } from '../tensor/shape.ts';
import { TrainingError } from './errors.ts';
import { agreeingUpdates } from './robust.ts';
import type { SparseOptions, SparseTensor, SparseUpdate } from './sparse.ts';
import { median } from './statistics.ts';

/** One accepted update. `weight` is a positive integer: the amount of verified work behind it. */
export interface WeightedUpdate {
  readonly update: SparseUpdate;
  readonly weight: number;
}

/** A weight above this could make sums of weights inexact in float64. */
const MAX_WEIGHT = 2 ** 40;
/** A tensor is merged in blocks. Their sums take 16 bytes a value; but each block scans all updates of the tensor, so blocks are few. */
const BLOCK_VALUES = 2 ** 20;
const MOST_BLOCKS = 32;

/**
 * The model after a round: θ ← θ − outer_step · aggregate. For each tensor, every update is first scaled down to the median norm, so that
 * none dominates. Then each value is the weighted mean over the workers that sent it; the other workers count with `absent_share` of
 * their weight as zeros. Under the rule 'agreement' only updates that agree with the others count (robust.ts); everything else is the
 * same. Returns new arrays; the inputs are not changed.
 *
 * The result depends on the order of `updates`, because sums of floating-point numbers do. Callers pass them in the canonical order of the
 * round, which is that of the submissions' hashes in the `round.merged` event (ascending hexadecimal).
 * Only + − × ÷, Math.sqrt and rounding to float32 are used, all of which IEEE 754 and ECMAScript define to the last bit.
 *
 * Throws TrainingError 'wrong-shape', 'bad-weight' or 'not-finite' (the step would overflow).
 */
export function mergeUpdates(
  specs: readonly ParameterSpec[],
  weights: Weights,
  updates: readonly WeightedUpdate[],
  options: SparseOptions,
): Map<string, Float32Array> {
  const merge = openMerge(specs, updates, options);
  return new Map(specs.map((spec) => [spec.name, merge(spec, weights.get(spec.name))]));
}

/** The same, tensor by tensor, for models that nobody holds as a whole: call it once for each of `specs`, with the weights before. */
export function openMerge(
  specs: readonly ParameterSpec[],
  updates: readonly WeightedUpdate[],
  options: SparseOptions,
): (spec: Pick<ParameterSpec, 'name' | 'shape'>, before: Float32Array | undefined) => Float32Array {
  const eachMean = openMeans(specs, updates, options);
  return (spec, before) => {
    const after = stepFrom(spec, before);
    eachMean(spec, (i, mean) => takeStep(spec.name, after, i, mean, options));
    return after;
  };
}

/** The aggregate of each value, tensor by tensor; 0 where no worker sent one. Throws as mergeUpdates. */
export function openAggregate(
  specs: readonly ParameterSpec[],
  updates: readonly WeightedUpdate[],
  options: SparseOptions,
): (spec: ParameterSpec) => Float32Array {
  const eachMean = openMeans(specs, updates, options);
  return (spec) => {
    const values = new Float32Array(sizeOf(spec.shape));
    eachMean(spec, (i, mean) => {
      values[i] = mean;
    });
    return values;
  };
}

/** A copy of a tensor's weights. Throws TrainingError `wrong-shape`. */
export function stepFrom(
  { name, shape }: Pick<ParameterSpec, 'name' | 'shape'>,
  before: Float32Array | undefined,
): Float32Array {
  const size = sizeOf(shape);
  if (before?.length === size) return before.slice();
  const message = `merge: ${name}: expected ${size} weights, got ${before?.length ?? 0}`;
  throw new TrainingError('wrong-shape', message, { name });
}

/**
 * One weight ← itself − outer_step · change, rounded to what the run keeps. Returns what rounding has added to it.
 * Throws TrainingError 'not-finite'.
 */
export function takeStep(
  name: string,
  weights: Float32Array,
  at: number,
  change: number,
  { outer_step, weights: dtype }: Pick<SparseOptions, 'outer_step' | 'weights'>,
): number {
  const exact = Math.fround(weights[at] - outer_step * change);
  if (!Number.isFinite(exact)) {
    throw new TrainingError('not-finite', `merge: ${name}: weight ${at} would become ${exact}`, { name, at });
  }
  weights[at] = rounded(dtype, exact);
  return weights[at] - exact;
}

type EachMean = (spec: Pick<ParameterSpec, 'name' | 'shape'>, told: (at: number, mean: number) => void) => void;

/** Gives, tensor by tensor, the mean of each value that a worker sent. */
function openMeans(
  specs: readonly ParameterSpec[],
  updates: readonly WeightedUpdate[],
  options: SparseOptions,
): EachMean {
  checkUpdates(specs, updates);
  const heard = options.merge_rule === 'agreement' ? agreeingUpdates(specs, updates) : updates;
  const total_weight = heard.reduce((sum, { weight }) => sum + weight, 0);
  return ({ name, shape }, told) => {
    const tensors = heard.map(({ update }) => update.get(name)!);
    meansOfTensor(sizeOf(shape), tensors, heard, total_weight, options, told);
  };
}

/** Checks that weights are within their bounds, every tensor is present, and every index is inside its tensor. */
function checkUpdates(specs: readonly ParameterSpec[], updates: readonly WeightedUpdate[]): void {
  for (const { weight } of updates) {
    if (!Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT) {
      throw new TrainingError(
        'bad-weight',
        `merge: expected a weight that is an integer from 1 to 2^40, got ${weight}`,
      );
    }
  }
  for (const { name, shape } of specs) {
    const size = sizeOf(shape);
    for (const { update } of updates) {
      const tensor = update.get(name);
      if (!tensor) throw new TrainingError('wrong-shape', `merge: ${name} is missing in an update`, { name });
      const outside = tensor.indices.find((index) => index >= size);
      if (outside !== undefined) {
        throw new TrainingError('bad-index', `merge: ${name}: index ${outside} of ${size} weights`, { name });
      }
    }
  }
}

function meansOfTensor(
  size: number,
  tensors: readonly SparseTensor[],
  updates: readonly WeightedUpdate[],
  total_weight: number,
  { absent_share }: SparseOptions,
  told: (at: number, mean: number) => void,
): void {
  const norms = tensors.map(normOf);
  const median_norm = median(norms);
  const scales = norms.map((norm) => (norm > median_norm ? median_norm / norm : 1));
  const block = Math.max(BLOCK_VALUES, Math.ceil(size / MOST_BLOCKS));
  const sums = new Float64Array(Math.min(block, size));
  const senders = new Float64Array(sums.length);
  for (let start = 0; start < size; start += block) {
    const values = Math.min(block, size - start);
    sums.fill(0);
    senders.fill(0);
    tensors.forEach(({ indices, codes, table }, k) => {
      const { weight } = updates[k];
      for (let i = 0; i < indices.length; i++) {
        const at = indices[i] - start;
        if (at < 0 || at >= values) continue;
        sums[at] += weight * (scales[k] * table[codes[i]]);
        senders[at] += weight;
      }
    });
    for (let at = 0; at < values; at++) {
      if (senders[at] === 0) continue;
      told(start + at, sums[at] / (senders[at] + absent_share * (total_weight - senders[at])));
    }
  }
}

/** The Euclidean norm of the kept values. */
function normOf({ codes, table }: SparseTensor): number {
  let squares = 0;
  for (const code of codes) squares += table[code] * table[code];
  return Math.sqrt(squares);
}
