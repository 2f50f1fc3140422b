// The merge rule 'agreement': only updates that agree with the others count, so that a worker who trains against them is left out.
import type { ParameterSpec } from '../model/config.ts';
import { sizeOf } from '../tensor/shape.ts';
import type { SparseUpdate } from './sparse.ts';

/** An update with the weight that it has in the merge, as in outer.ts. */
interface Weighted {
  readonly update: SparseUpdate;
  readonly weight: number;
}

/** Fewer than three updates cannot outvote one of them. */
const LEAST_UPDATES = 3;

/** An update counts if its agreement with the others is at least this part of the usual agreement. */
const SHARE_OF_USUAL = 0.5;

/**
 * The updates, in their order, whose signs agree with those of the others at least half as much as is usual.
 *
 * The agreement of two updates is counted over the values that both keep: equal signs less opposite ones. An update's agreement is the
 * median of its agreement with each other one, weighted by the others' weights, so that liars who agree with each other gain nothing
 * as long as they are fewer. The usual agreement is the weighted median of all. Where it is not above zero, honest and dishonest
 * updates cannot be told apart, and all count; the same holds for two updates.
 *
 * Counts are integers and comparisons exact: the same on every machine, whatever the order.
 */
export function agreeingUpdates<T extends Weighted>(
  specs: readonly ParameterSpec[],
  updates: readonly T[],
): readonly T[] {
  const count = updates.length;
  if (count < LEAST_UPDATES) return updates;
  const pairs = pairAgreements(specs, updates);
  const agreements = updates.map((_, k) => {
    const others = updates.flatMap(({ weight }, j) => (j === k ? [] : [{ value: pairs[k * count + j], weight }]));
    return upperMedian(others);
  });
  const usual = upperMedian(updates.map(({ weight }, k) => ({ value: agreements[k], weight })));
  if (usual <= 0) return updates;
  return updates.filter((_, k) => agreements[k] >= SHARE_OF_USUAL * usual);
}

/** For each pair of updates, over all values that both keep: the number of equal signs less that of opposite ones. */
function pairAgreements(specs: readonly ParameterSpec[], updates: readonly Weighted[]): Float64Array {
  const count = updates.length;
  const pairs = new Float64Array(count * count);
  for (const { name, shape } of specs) {
    const tensors = updates.map(({ update }) => update.get(name)!);
    // For each position the last sender's entry; each entry links to the one before it at the same position.
    const last = new Int32Array(sizeOf(shape)).fill(-1);
    const entries = tensors.reduce((sum, { indices }) => sum + indices.length, 0);
    const before = new Int32Array(entries);
    const sender = new Int32Array(entries);
    const sign = new Int8Array(entries);
    let at = 0;
    tensors.forEach(({ indices, codes, table }, k) => {
      for (let i = 0; i < indices.length; i++) {
        sign[at] = Math.sign(table[codes[i]]);
        sender[at] = k;
        before[at] = last[indices[i]];
        for (let other = before[at]; other >= 0; other = before[other])
          pairs[k * count + sender[other]] += sign[at] * sign[other];
        last[indices[i]] = at++;
      }
    });
  }
  for (let k = 0; k < count; k++) for (let j = 0; j < k; j++) pairs[j * count + k] = pairs[k * count + j];
  return pairs;
}

/** The smallest value such that more than half of the weight lies at or below it. */
function upperMedian(items: readonly { readonly value: number; readonly weight: number }[]): number {
  const sorted = items.toSorted((a, b) => a.value - b.value);
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0);
  let below = 0;
  for (const { value, weight } of sorted) {
    below += weight;
    if (2 * below > total) return value;
  }
  return 0;
}
