// Estimates the size of an update in advance: the entropy of the kept positions and of their codes.
import type { ParameterSpec } from '../model/config.ts';
import type { SparseOptions } from './sparse.ts';
import { tilingOf } from './sparse-tiles.ts';

/** The bits of a kept value's code: a sign, or one of four values that are not equally frequent. */
const CODE_BITS = { sign: 1, ladder: 1.9, levels: 1.9 } as const;

/** The entropy in bits of a choice between two things, one of which has this probability. */
function entropy_bits(probability: number): number {
  if (probability <= 0 || probability >= 1) return 0;
  return -probability * Math.log2(probability) - (1 - probability) * Math.log2(1 - probability);
}

/** About how many bytes a worker sends a round, if positions are spread evenly, which is the most expensive case. */
export function expectedUpdateBytes(specs: readonly ParameterSpec[], options: SparseOptions): number {
  let bits = 0;
  for (const spec of specs) {
    const { chunks, chunk_size, kept } = tilingOf(spec, options.kept_per_tile);
    bits += chunks * (chunk_size * entropy_bits(kept / chunk_size) + kept * CODE_BITS[options.quantiser]);
  }
  return Math.ceil(bits / 8);
}
