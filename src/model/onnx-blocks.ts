// A matrix in bytes, as ONNX Runtime's MatMulNBits reads it with 8 bits: blocks of 32 weights of a row with a scale, 128 for zero.

/** Weights that share a scale, as in GGUF's q8_0. */
export const BLOCK = 32;
const ZERO = 128;
/** The largest distance from ZERO: the same on both sides, so that a block's largest weight is exact. */
const LARGEST = 127;

export interface ByteBlocks {
  /** [rows, blocks, BLOCK]; the last block of a row is filled up with ZERO. */
  readonly bytes: Uint8Array;
  /** [rows, blocks]. */
  readonly scales: Float32Array;
}

/** The nearest bytes to a matrix [rows, columns]: weight ≈ (byte - 128) · scale. */
export function byteBlocks(weights: Float32Array, rows: number, columns: number): ByteBlocks {
  const blocks = Math.ceil(columns / BLOCK);
  const bytes = new Uint8Array(rows * blocks * BLOCK).fill(ZERO);
  const scales = new Float32Array(rows * blocks);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const from = row * columns + block * BLOCK;
      const values = weights.subarray(from, Math.min(from + BLOCK, (row + 1) * columns));
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const scale = Math.fround(largest / LARGEST);
      const to = (row * blocks + block) * BLOCK;
      scales[row * blocks + block] = scale;
      // A scale that rounds to 0 is a block of zeros as far as float32 can say.
      if (scale > 0)
        values.forEach((value, i) => {
          bytes[to + i] = ZERO + Math.max(-LARGEST, Math.min(LARGEST, Math.round(value / scale)));
        });
    }
  }
  return { bytes, scales };
}
