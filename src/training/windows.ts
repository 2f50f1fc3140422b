// Windows of one long text as batches, for who trains or measures outside a run.
import type { Random } from '../protocol/random.ts';
import type { Batch } from './inner.ts';

function batchAt(tokens: Int32Array, offsets: readonly number[], context: number): Batch {
  const batch = { tokens: new Int32Array(offsets.length * context), targets: new Int32Array(offsets.length * context) };
  offsets.forEach((offset, i) => {
    batch.tokens.set(tokens.subarray(offset, offset + context), i * context);
    batch.targets.set(tokens.subarray(offset + 1, offset + 1 + context), i * context);
  });
  return batch;
}

/** A batch of windows from anywhere in the text. */
export function randomBatch(tokens: Int32Array, random: Random, batch: number, context: number): Batch {
  const offsets = Array.from({ length: batch }, () => random.below(tokens.length - context));
  return batchAt(tokens, offsets, context);
}

/**
 * All windows of a text that do not overlap, or every `stride`-th of them, in batches. The last batch is filled up with
 * its first window; `used` says how many rows count.
 */
export function windowBatches(tokens: Int32Array, batch: number, context: number, stride = 1) {
  const windows = Math.floor((tokens.length - 1) / context);
  const offsets: number[] = [];
  for (let i = 0; i < windows; i += stride) offsets.push(i * context);
  const batches: { readonly batch: Batch; readonly used: number }[] = [];
  for (let start = 0; start < offsets.length; start += batch) {
    const some = offsets.slice(start, start + batch);
    const filled = Array.from({ length: batch }, (_, i) => some[i] ?? some[0]);
    batches.push({ batch: batchAt(tokens, filled, context), used: some.length });
  }
  return batches;
}
