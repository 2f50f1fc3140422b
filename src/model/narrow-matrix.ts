// Matrices in 8 or 4 bits, as ONNX Runtime's MatMulNBits reads them, with the very weights of GGUF's q8_0 and q4_0: a device that serves
// a file and one that judges it with our own decoder compute with the same numbers.
import { encodeStored, SCALE_BYTES } from './gguf-types.ts';

export type NarrowType = 'q8_0' | 'q4_0';

/** Weights that share a scale. */
export const BLOCK = 32;

export const bitsOf = (type: NarrowType): 4 | 8 => (type === 'q8_0' ? 8 : 4);

/** A matrix [rows, columns]: weight = (level − zero) · scale, where zero is 128 or 8. */
export interface NarrowMatrix {
  readonly type: NarrowType;
  readonly rows: number;
  readonly columns: number;
  /** Blocks of a row; the last one is filled up with zeros. */
  readonly blocks: number;
  /** [rows, blocks, 32 or 16]: a level a byte, or two, the first in the lower half. */
  readonly levels: Uint8Array;
  /** [rows, blocks]. */
  readonly scales: Float32Array;
}

/** Throws ModelError `wrong-weights` where a scale is too large for 16 bits. */
export function narrowMatrix(type: NarrowType, weights: Float32Array, rows: number, columns: number): NarrowMatrix {
  const blocks = Math.ceil(columns / BLOCK);
  const block_bytes = (BLOCK * bitsOf(type)) / 8;
  const levels = new Uint8Array(rows * blocks * block_bytes);
  const scales = new Float32Array(rows * blocks);
  const row = new Float32Array(blocks * BLOCK);
  for (let r = 0; r < rows; r++) {
    row.set(weights.subarray(r * columns, (r + 1) * columns));
    const stored = encodeStored(type, row);
    const view = new DataView(stored.buffer, stored.byteOffset);
    for (let b = 0; b < blocks; b++) {
      const from = b * (SCALE_BYTES + block_bytes);
      const block = r * blocks + b;
      scales[block] = view.getFloat16(from, true);
      const values = from + SCALE_BYTES;
      const to = block * block_bytes;
      if (type === 'q8_0')
        for (let i = 0; i < BLOCK; i++) levels[to + i] = stored[values + i] ^ 128; // −128 … 127 becomes 0 … 255
      else interleave(stored, values, levels, to);
    }
  }
  return { type, rows, columns, blocks, levels, scales };
}

/** GGUF has weights i and i + 16 of a block in one byte, MatMulNBits 2i and 2i + 1. */
function interleave(values: Uint8Array, from: number, to: Uint8Array, at: number): void {
  for (let i = 0; i < BLOCK / 4; i++) {
    const [first, second] = [values[from + 2 * i], values[from + 2 * i + 1]];
    to[at + i] = (first & 15) | ((second & 15) << 4);
    to[at + BLOCK / 4 + i] = (first >> 4) | (second & 240);
  }
}

/** Writes a row's weights to `to`, [columns]. */
export function widenRow({ type, columns, blocks, levels, scales }: NarrowMatrix, row: number, to: Float32Array): void {
  const first = row * blocks * BLOCK;
  for (let i = 0; i < columns; i++) {
    const at = first + i;
    const scale = scales[Math.floor(at / BLOCK)];
    const level = type === 'q8_0' ? levels[at] - 128 : ((levels[at >> 1] >> (4 * (at & 1))) & 15) - 8;
    to[i] = level * scale;
  }
}
