// Narrow matrices: the weights of GGUF's blocks, decoded here by ggml's own definition, and rows that are no whole blocks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../protocol/random.ts';
import { encodeStored } from './gguf-types.ts';
import { narrowMatrix, widenRow } from './narrow-matrix.ts';

function random(length: number, seed: string): Float32Array {
  const source = seededRandom('narrow', seed);
  return Float32Array.from({ length }, () => (source.uint32() / 2 ** 31 - 1) * 2 ** (source.below(9) - 6));
}

/** dequantize_row_q8_0 and dequantize_row_q4_0 of ggml-quants.c. */
function ggmlWeights(type: 'q8_0' | 'q4_0', stored: Uint8Array): number[] {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.byteLength);
  const weights: number[] = [];
  const block_bytes = type === 'q8_0' ? 34 : 18;
  for (let at = 0; at < stored.length; at += block_bytes) {
    const scale = view.getFloat16(at, true);
    const bytes = Array.from({ length: block_bytes - 2 }, (_, i) => view.getUint8(at + 2 + i));
    if (type === 'q8_0') weights.push(...bytes.map((byte) => ((byte << 24) >> 24) * scale));
    else
      weights.push(
        ...bytes.map((byte) => ((byte & 15) - 8) * scale),
        ...bytes.map((byte) => ((byte >> 4) - 8) * scale),
      );
  }
  return weights;
}

for (const type of ['q8_0', 'q4_0'] as const) {
  test(`${type}: the very weights of a GGUF file`, () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 3 }), fc.string(), (rows, blocks, seed) => {
        const columns = 32 * blocks;
        const weights = random(rows * columns, seed);
        const matrix = narrowMatrix(type, weights, rows, columns);
        const row = new Float32Array(columns);
        for (let r = 0; r < rows; r++) {
          widenRow(matrix, r, row);
          const stored = encodeStored(type, weights.slice(r * columns, (r + 1) * columns));
          assert.deepEqual([...row], ggmlWeights(type, stored).map(Math.fround));
        }
      }),
    );
  });

  test(`${type}: a row that is no whole blocks is filled up, and no weight is far from what it was`, () => {
    const weights = random(3 * 45, 'odd');
    const matrix = narrowMatrix(type, weights, 3, 45);
    assert.equal(matrix.blocks, 2);
    const row = new Float32Array(45);
    for (let r = 0; r < 3; r++) {
      widenRow(matrix, r, row);
      for (const [i, value] of row.entries()) {
        const block = weights.subarray(r * 45 + (i < 32 ? 0 : 32), r * 45 + (i < 32 ? 32 : 45));
        const largest = block.reduce((most, weight) => Math.max(most, Math.abs(weight)), 0);
        // Half a step, a step at the far end of q4_0, and what 16 bits of a scale leave out.
        const step = type === 'q8_0' ? 0.51 / 127 : 1.01 / 8;
        assert.ok(Math.abs(value - weights[r * 45 + i]) <= step * largest, `${value} for ${weights[r * 45 + i]}`);
      }
    }
  });
}

test('q8_0 rounds halves away from zero, as C does', () => {
  const values = [127, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 0.49, -0.49, 0.99, -0.99, -127, 0, -0, 126.5, -126.5];
  const levels = encodeStored(
    'q8_0',
    Float32Array.from({ length: 32 }, (_, i) => values[i] ?? 0),
  ).subarray(2);
  const expected = [127, 1, -1, 2, -2, 3, -3, 0, 0, 1, -1, -127, 0, 0, 127, -127];
  assert.deepEqual([...new Int8Array(levels).subarray(0, values.length)], expected);
});
