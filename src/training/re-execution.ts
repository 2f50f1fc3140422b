// Re-execution: a validator repeats a worker's inner steps from the same model on the same assigned batches, and measures how far the
// worker's losses and update are from its own. A validator that has followed the worker has the worker's state too, and finds the same
// update except for rounding. Any other one uses moments of its own, which describe the same model and data.
import type { ParameterSpec, Weights } from '../model/config.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { SparseTensor, SparseUpdate } from './sparse.ts';

/**
 * The distance of two loss traces, in nats: the mean distance, the mean distance of the last half, and that of the jumps from each step to
 * the next, in the half of the steps where it is larger. With other moments a model learns faster or slower, on all batches alike. How hard
 * each single batch is shows in the jumps, and only somebody who has run the model on it knows that.
 */
export interface TraceDistance {
  readonly mean: number;
  readonly last_half: number;
  readonly jumps: number;
}

export function traceDistance(claimed: ArrayLike<number>, found: readonly number[]): TraceDistance {
  const distances = found.map((loss, i) => Math.abs(loss - claimed[i]));
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
  const jumps = found.slice(1).map((loss, i) => Math.abs(loss - found[i] - (claimed[i + 1] - claimed[i])));
  const half = jumps.length >> 1;
  return {
    mean: mean(distances),
    last_half: mean(distances.slice(distances.length >> 1)),
    jumps: Math.max(mean(jumps.slice(0, half)), mean(jumps.slice(half))),
  };
}

/**
 * The cosine between an update and a repeated difference, over the positions that the update keeps; the mean over tensors, weighted
 * by their kept values. 1: the same direction; near 0: the update contains nothing about this data.
 */
export function agreementOf(specs: readonly ParameterSpec[], update: SparseUpdate, delta: Weights): number {
  let sum = 0;
  let weight = 0;
  for (const { name } of specs) {
    const { indices, codes, table } = update.get(name)!;
    const values = delta.get(name)!;
    let [dot, a, b] = [0, 0, 0];
    for (let i = 0; i < indices.length; i++) {
      const kept = table[codes[i]];
      const found = values[indices[i]];
      dot += kept * found;
      a += kept * kept;
      b += found * found;
    }
    if (a > 0 && b > 0) sum += (indices.length * dot) / Math.sqrt(a * b);
    weight += indices.length;
  }
  return weight > 0 ? sum / weight : 0;
}

/**
 * The distance of an update from another of the same work: the norm of the difference over the norm of the other, as the root mean square
 * over tensors, weighted by their kept values. 0: the same; about √2: nothing in common. It reacts to signs, positions and magnitudes.
 */
export function updateDistance(specs: readonly ParameterSpec[], update: SparseUpdate, other: SparseUpdate): number {
  let sum = 0;
  let weight = 0;
  for (const { name } of specs) {
    const a = update.get(name)!;
    const b = other.get(name)!;
    const values = valuesOf(b);
    let [apart, size] = [0, 0];
    for (const value of values.values()) size += value * value;
    for (let i = 0; i < a.indices.length; i++) {
      apart += (a.table[a.codes[i]] - (values.get(a.indices[i]) ?? 0)) ** 2;
      values.delete(a.indices[i]);
    }
    for (const value of values.values()) apart += value * value;
    sum += a.indices.length * (apart === 0 ? 0 : apart / size);
    weight += a.indices.length;
  }
  return weight > 0 ? Math.sqrt(sum / weight) : 0;
}

/** The part of an update's kept values that another one has at the same position with the same sign. */
export function overlapOf(specs: readonly ParameterSpec[], update: SparseUpdate, other: SparseUpdate): number {
  let same = 0;
  let all = 0;
  for (const { name, shape } of specs) {
    const a = update.get(name)!;
    const b = other.get(name)!;
    // The sign of each value of the weight, 0 where the other keeps none. A judge compares many updates, and a Map takes several times as long.
    const signs = new Int8Array(sizeOf(shape));
    const [signs_a, signs_b] = [a, b].map(({ table }) => Array.from(table, (value) => (value < 0 ? -1 : 1)));
    for (let i = 0; i < b.indices.length; i++) signs[b.indices[i]] = signs_b[b.codes[i]];
    for (let i = 0; i < a.indices.length; i++) if (signs[a.indices[i]] === signs_a[a.codes[i]]) same++;
    all += a.indices.length;
  }
  return all > 0 ? same / all : 0;
}

/** The kept values of a weight by their positions. */
function valuesOf({ indices, codes, table }: SparseTensor): Map<number, number> {
  const values = new Map<number, number>();
  for (let i = 0; i < indices.length; i++) values.set(indices[i], table[codes[i]]);
  return values;
}
