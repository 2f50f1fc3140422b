// Rounding to narrower weights: to the nearest, of two the even one, the same from every float32, and never beyond the finite numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeValues, encodeValues, rounded, roundedWeights } from './dtypes.ts';

const LARGEST = { bf16: decodeValues('bf16', Uint8Array.of(0x7f, 0x7f))[0], f16: 65_504 };

/** Every finite value of a dtype from 0 up, in order: their bytes counted up. */
const valuesOf = (dtype: 'bf16' | 'f16'): Float32Array =>
  decodeValues(dtype, new Uint8Array(Uint16Array.from({ length: 0x8000 }, (_, i) => i).buffer)).filter(Number.isFinite);

for (const dtype of ['bf16', 'f16'] as const) {
  test(`${dtype}: what it holds stays, what lies between two goes to the nearer one, and half-way to the even one`, () => {
    const values = valuesOf(dtype);
    assert.equal(values.at(-1), LARGEST[dtype]);
    for (let i = 0; i + 1 < values.length; i++) {
      const [low, high] = [values[i], values[i + 1]];
      const middle = (low + high) / 2; // exact, in float32 too but for bfloat16's smallest
      const even = i % 2 === 0 ? low : high;
      for (const sign of [1, -1]) {
        assert.ok(Object.is(rounded(dtype, sign * low), sign * low));
        if (Math.fround(middle) !== middle) continue;
        assert.equal(rounded(dtype, sign * middle), sign * even);
        const bits = new Uint32Array(Float32Array.of(middle).buffer)[0];
        const [below, above] = new Float32Array(Uint32Array.of(bits - 1, bits + 1).buffer);
        assert.equal(rounded(dtype, sign * below), sign * low);
        assert.equal(rounded(dtype, sign * above), sign * high);
      }
    }
  });

  test(`${dtype}: what is beyond its largest number becomes that number, and every result can be kept`, () => {
    const most = 3.4028234663852886e38;
    assert.equal(rounded(dtype, most), LARGEST[dtype]);
    assert.equal(rounded(dtype, -most), -LARGEST[dtype]);
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const kept = rounded(dtype, value);
        assert.deepEqual(decodeValues(dtype, encodeValues(dtype, Float32Array.of(kept))), Float32Array.of(kept));
      }),
    );
  });
}

test('a model in float32 stays the same arrays', () => {
  const weights = new Map([['w', Float32Array.of(0.1, 1 / 3)]]);
  assert.equal(roundedWeights('f32', weights), weights);
  assert.deepEqual([...roundedWeights('bf16', weights).get('w')!], [0.10009765625, 0.333984375]);
  assert.deepEqual([...roundedWeights('f16', weights).get('w')!], [0.0999755859375, 0.333251953125]);
});
