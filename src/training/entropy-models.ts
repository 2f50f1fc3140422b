// The probability models of the entropy coder for a sparse update: the positions of kept values, and their codes. The same code models both
// directions, so that encoder and decoder cannot disagree. All arithmetic is float64 + − × ÷ and floor.
import { type BitCoder, PROBABILITY_ONE } from './entropy.ts';
import { TrainingError } from './errors.ts';
import { chunkStart, type Tiling } from './sparse-tiles.ts';

/** `width` bits of a number, most significant first, all equally likely. */
export function codeEven(coder: BitCoder, value: number, width: number): number {
  let result = 0;
  for (let shift = width - 1; shift >= 0; shift--) {
    result = result * 2 + coder.code((value >>> shift) & 1, PROBABILITY_ONE / 2);
  }
  return result;
}

/** Counts are halved at this size, so that a model adapts to changes along the update. */
const COUNT_LIMIT = 1024;

/**
 * Codes numbers of `width` bits with a binary tree of adaptive bits: each node counts the zeros and ones seen there,
 * starting with half of each (Krichevsky and Trofimov, 1981).
 */
export class AdaptiveNumber {
  readonly #width: number;
  readonly #zeros: Float64Array;
  readonly #ones: Float64Array;

  constructor(width: number) {
    this.#width = width;
    this.#zeros = new Float64Array(2 ** width).fill(0.5);
    this.#ones = new Float64Array(2 ** width).fill(0.5);
  }

  code(coder: BitCoder, value: number): number {
    let node = 1;
    for (let shift = this.#width - 1; shift >= 0; shift--) {
      const ones = this.#ones[node];
      const total = this.#zeros[node] + ones;
      const probability = Math.floor((PROBABILITY_ONE * ones) / total);
      const bit = coder.code((value >>> shift) & 1, Math.min(PROBABILITY_ONE - 1, Math.max(1, probability)));
      if (bit) this.#ones[node] += 1;
      else this.#zeros[node] += 1;
      if (total > COUNT_LIMIT) {
        this.#ones[node] /= 2;
        this.#zeros[node] /= 2;
      }
      node = 2 * node + bit;
    }
    return node - 2 ** this.#width;
  }
}

/** With how many kept values, as expected, a row or column is credited before its first one. */
const PRIOR_COUNT = 3;
/** Bounds of a position's probability, because a more certain model pays too much when it is wrong. In 1/65536: about 0.0005 and 0.95. */
const LEAST_PROBABILITY = 32;
const MOST_PROBABILITY = 62_259;

/**
 * Codes the positions of one weight's kept values, chunk by chunk. Kept values gather in certain rows and columns (channels that are
 * learning), so a position's probability is the chunk's remaining share, times how many its row and its column had so far
 * compared with the expected number. Every chunk keeps a known number, so its last positions cost nothing.
 * @param indices the positions when writing, the array to be filled when reading
 */
export function codePositions(coder: BitCoder, tiling: Tiling, indices: Uint32Array, reading_them: boolean): void {
  const { chunk_size, chunks, kept, tile_rows, tile_columns, columns } = tiling;
  const share = kept / chunk_size;
  const row_kept = new Float64Array(tiling.rows).fill(PRIOR_COUNT);
  const column_kept = new Float64Array(columns).fill(PRIOR_COUNT);
  const row_expected = new Float64Array(tiling.rows).fill(PRIOR_COUNT);
  const column_expected = new Float64Array(columns).fill(PRIOR_COUNT);
  let at = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const start = chunkStart(tiling, chunk);
    const first_row = Math.floor(start / columns);
    const first_column = start % columns;
    let missing = kept;
    let left = chunk_size;
    for (let row = first_row; row < first_row + tile_rows && missing > 0; row++) {
      let kept_here = row_kept[row];
      let expected_here = row_expected[row];
      for (let column = first_column; column < first_column + tile_columns && missing > 0; column++, left--) {
        const index = row * columns + column;
        let bit = 1;
        if (missing < left) {
          const row_factor = kept_here / expected_here;
          const column_factor = column_kept[column] / column_expected[column];
          const expected = (PROBABILITY_ONE * missing * row_factor * column_factor) / left;
          // Bounded before it becomes an integer, since most of a decoder's time goes by here.
          const probability =
            expected >= MOST_PROBABILITY
              ? MOST_PROBABILITY
              : expected < LEAST_PROBABILITY
                ? LEAST_PROBABILITY
                : expected | 0;
          bit = coder.code(!reading_them && indices[at] === index ? 1 : 0, probability);
        }
        expected_here += share;
        column_expected[column] += share;
        if (bit) {
          if (reading_them) indices[at] = index;
          at++;
          missing--;
          kept_here++;
          column_kept[column]++;
        }
      }
      row_kept[row] = kept_here;
      row_expected[row] = expected_here;
    }
  }
}

/** Bits of a position in a chunk when all positions are equally likely. */
export function positionBits(chunk_size: number): number {
  return 32 - Math.clz32(chunk_size - 1);
}

/** Codes positions without a model: each as its number in the chunk. Throws TrainingError `bad-index` for one outside the chunk. */
export function codePositionsEvenly(
  coder: BitCoder,
  tiling: Tiling,
  indices: Uint32Array,
  reading_them: boolean,
): void {
  const { chunk_size, chunks, kept, tile_columns, columns } = tiling;
  const width = positionBits(chunk_size);
  for (let chunk = 0, at = 0; chunk < chunks; chunk++) {
    const start = chunkStart(tiling, chunk);
    for (let i = 0; i < kept; i++, at++) {
      const offset = indices[at] - start;
      const position = Math.floor(offset / columns) * tile_columns + (offset % columns);
      const coded = codeEven(coder, reading_them ? 0 : position, width);
      if (coded >= chunk_size) {
        throw new TrainingError('bad-index', `update: position ${coded} in a chunk of ${chunk_size} values`, { at });
      }
      indices[at] = start + Math.floor(coded / tile_columns) * columns + (coded % tile_columns);
    }
  }
}
