// Which values of a chunk are kept, and how they become two bits: the k largest magnitudes, coded with a look-up table of four entries.
// Sums run in float64, in the order of positions, without transcendental functions: the same bits on every machine.
import { chunkStart, type Tiling } from './sparse-tiles.ts';

/** Entries of a look-up table: a code has two bits. */
export const TABLE_SIZE = 4;

/** The positions of the largest magnitudes of every chunk. Of equal ones, the earlier positions are kept. */
export function keepLargest(tiling: Tiling, values: Float32Array): Uint32Array {
  const { chunk_size, chunks, kept, tile_rows, tile_columns, columns } = tiling;
  const result = new Uint32Array(chunks * kept);
  const positions = new Uint32Array(chunk_size);
  const magnitudes = new Float32Array(chunk_size);
  let at = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const start = chunkStart(tiling, chunk);
    let n = 0;
    for (let row = 0; row < tile_rows; row++) {
      for (let column = 0; column < tile_columns; column++) {
        positions[n] = start + row * columns + column;
        magnitudes[n] = Math.abs(values[positions[n]]);
        n++;
      }
    }
    const threshold = kthLargest(magnitudes.slice(), kept);
    let above = 0;
    for (let i = 0; i < n; i++) if (magnitudes[i] > threshold) above++;
    let ties = kept - above;
    for (let i = 0; i < n; i++) {
      if (magnitudes[i] > threshold || (magnitudes[i] === threshold && ties-- > 0)) result[at++] = positions[i];
    }
  }
  return result;
}

/** The k-th largest value (k from 1), by Hoare's FIND; reorders `values`. */
function kthLargest(values: Float32Array, k: number): number {
  const target = k - 1;
  let left = 0;
  let right = values.length - 1;
  while (left < right) {
    const pivot = values[(left + right) >>> 1];
    let i = left;
    let j = right;
    while (i <= j) {
      while (values[i] > pivot) i++;
      while (values[j] < pivot) j--;
      if (i <= j) {
        const swapped = values[i];
        values[i++] = values[j];
        values[j--] = swapped;
      }
    }
    if (target <= j) right = j;
    else if (target >= i) left = i;
    else break;
  }
  return values[target];
}

/** How kept values become codes: see `quantise`. */
export const QUANTISERS = ['ladder', 'sign', 'levels'] as const;
export type Quantiser = (typeof QUANTISERS)[number];

/**
 * Gives every kept value its code, and every code its value: the mean of the values that it represents.
 * 'ladder' cuts at even steps around the mean; 'sign' keeps the sign and one magnitude for the whole tensor, and zeros as zeros;
 * 'levels' keeps the sign and one of two magnitudes.
 */
export function quantise(values: Float32Array, indices: Uint32Array, quantiser: Quantiser) {
  const codes = new Uint8Array(indices.length);
  const table = new Float32Array(TABLE_SIZE);
  if (quantiser === 'ladder') ladderCodes(values, indices, codes);
  else if (quantiser === 'levels') levelCodes(values, indices, codes);
  else for (let i = 0; i < indices.length; i++) codes[i] = SIGN_CODES[1 + Math.sign(values[indices[i]])];
  const sums = new Float64Array(TABLE_SIZE);
  const counts = new Uint32Array(TABLE_SIZE);
  for (let i = 0; i < indices.length; i++) {
    sums[codes[i]] += values[indices[i]];
    counts[codes[i]]++;
  }
  if (quantiser === 'ladder') {
    for (let code = 0; code < TABLE_SIZE; code++) if (counts[code] > 0) table[code] = coarse(sums[code] / counts[code]);
    return { codes, table };
  }
  // One magnitude for both signs.
  for (const [minus, plus] of quantiser === 'sign'
    ? [[1, 2]]
    : [
        [1, 2],
        [0, 3],
      ]) {
    const magnitude = (sums[plus] - sums[minus]) / (counts[minus] + counts[plus]);
    if (counts[minus] > 0) table[minus] = coarse(-magnitude);
    if (counts[plus] > 0) table[plus] = coarse(magnitude);
  }
  return { codes, table };
}

/** Iterations of Lloyd's algorithm: after the third the border hardly moves. */
const LLOYD_ROUNDS = 4;

/** Codes 1 and 2 for the small values, 0 and 3 for the large; the border lies half-way between the two means (Lloyd, 1957). */
function levelCodes(values: Float32Array, indices: Uint32Array, codes: Uint8Array): void {
  let border = 0;
  for (const index of indices) border += Math.abs(values[index]);
  border /= indices.length;
  for (let round = 0; round < LLOYD_ROUNDS; round++) {
    const sums = [0, 0];
    const counts = [0, 0];
    for (const index of indices) {
      const magnitude = Math.abs(values[index]);
      const large = magnitude > border ? 1 : 0;
      sums[large] += magnitude;
      counts[large]++;
    }
    if (counts[0] === 0 || counts[1] === 0) break;
    border = (sums[0] / counts[0] + sums[1] / counts[1]) / 2;
  }
  for (let i = 0; i < indices.length; i++) {
    const value = values[indices[i]];
    const large = Math.abs(value) > border;
    if (value < 0) codes[i] = large ? 0 : 1;
    else codes[i] = large ? 3 : 2;
  }
}

/** The codes of −, 0 and +. */
const SIGN_CODES = [1, 0, 2] as const;

/** Steps of the ladder: the span of six standard deviations in four steps; code 2 is centred on the mean. */
const LADDER_SPAN = 6;
const LADDER_CENTRE = 2;

function ladderCodes(values: Float32Array, indices: Uint32Array, codes: Uint8Array): void {
  let mean = 0;
  for (const index of indices) mean += values[index];
  mean /= indices.length;
  let squares = 0;
  for (const index of indices) squares += (values[index] - mean) * (values[index] - mean);
  const step = (LADDER_SPAN * Math.sqrt(squares / Math.max(1, indices.length - 1))) / TABLE_SIZE;
  for (let i = 0; i < indices.length; i++) {
    const rung = step > 0 ? Math.round((values[indices[i]] - mean) / step + LADDER_CENTRE) : LADDER_CENTRE;
    codes[i] = Math.min(TABLE_SIZE - 1, Math.max(0, rung));
  }
}

const word = new DataView(new ArrayBuffer(4));

/** The nearest bfloat16 (ties away from zero): eight bits of precision are enough for a mean, and half the bytes. */
function coarse(value: number): number {
  word.setFloat32(0, value);
  const bits = word.getUint32(0);
  // Rounding up must not carry the largest finite exponent into infinity.
  const rounded = (bits & 0x7fff_0000) === 0x7f7f_0000 ? bits : bits + 0x8000;
  word.setUint32(0, (rounded & 0xffff_0000) >>> 0);
  return word.getFloat32(0);
}

/** Whether a table entry has no more precision than the format carries. */
export function isCoarse(value: number): boolean {
  word.setFloat32(0, value);
  return (word.getUint32(0) & 0xffff) === 0;
}
