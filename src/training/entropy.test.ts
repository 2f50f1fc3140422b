// Tests of the arithmetic coder and its models: what goes in comes out, at the size that the probabilities promise.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../protocol/random.ts';
import { BitDecoder, BitEncoder, PROBABILITY_ONE } from './entropy.ts';
import { AdaptiveNumber, codeEven } from './entropy-models.ts';

const codedBit = fc.record({
  bit: fc.integer({ min: 0, max: 1 }),
  p: fc.integer({ min: 1, max: PROBABILITY_ONE - 1 }),
});

test('bits come back whatever their probabilities are', () => {
  fc.assert(
    fc.property(fc.array(codedBit, { maxLength: 2000 }), (bits) => {
      const encoder = new BitEncoder();
      for (const { bit, p } of bits) encoder.code(bit, p);
      const decoder = new BitDecoder(encoder.finish());
      for (const { bit, p } of bits) assert.equal(decoder.code(0, p), bit);
    }),
  );
});

/** The coder as it is defined, in integers of any size. */
function codedExactly(bits: readonly { readonly bit: number; readonly p: number }[]): number[] {
  let [low, high] = [0n, 0xffff_ffffn];
  const bytes: number[] = [];
  for (const { bit, p } of bits) {
    const middle = low + ((high - low) * BigInt(p)) / BigInt(PROBABILITY_ONE);
    if (bit) high = middle;
    else low = middle + 1n;
    for (
      ;
      low >> 24n === high >> 24n;
      [low, high] = [(low << 8n) & 0xffff_ffffn, ((high << 8n) & 0xffff_ffffn) | 0xffn]
    ) {
      bytes.push(Number(high >> 24n));
    }
  }
  if (low > 0n) bytes.push(Number(low >> 24n) + 1);
  while (bytes.at(-1) === 0) bytes.pop();
  return bytes;
}

test('the bytes are those of exact arithmetic, also where a border falls on the upper half of the range', () => {
  // Rare bits keep the range wide, and so the borders apart from each other.
  const rare = codedBit.map(({ bit, p }) => ({ bit, p: bit ? (p % 3) + 1 : p }));
  fc.assert(
    fc.property(fc.array(fc.oneof(codedBit, rare), { maxLength: 500 }), (bits) => {
      const encoder = new BitEncoder();
      for (const { bit, p } of bits) encoder.code(bit, p);
      assert.deepEqual([...encoder.finish()], codedExactly(bits));
    }),
  );
});

test('the most unlikely bits of all come back too', () => {
  for (const [bit, p] of [
    [1, 1],
    [0, PROBABILITY_ONE - 1],
  ]) {
    const encoder = new BitEncoder();
    for (let i = 0; i < 5000; i++) encoder.code(bit, p);
    const bytes = encoder.finish();
    // Sixteen bits each; those of the ones are zeros, which are not written at the end.
    assert.ok(bit === 1 ? bytes.length <= 10_000 : Math.abs(bytes.length - 10_000) < 8);
    const decoder = new BitDecoder(bytes);
    for (let i = 0; i < 5000; i++) assert.equal(decoder.code(0, p), bit);
  }
});

test('the size is the information content, within a thousandth', () => {
  const random = seededRandom('entropy test');
  for (const share of [0.5, 0.1, 1 / 64]) {
    const p = Math.round(share * PROBABILITY_ONE);
    const encoder = new BitEncoder();
    let bits = 0;
    for (let i = 0; i < 200_000; i++) {
      const bit = random.below(PROBABILITY_ONE) < p ? 1 : 0;
      encoder.code(bit, p);
      bits -= Math.log2((bit ? p : PROBABILITY_ONE - p) / PROBABILITY_ONE);
    }
    const size = encoder.finish().length;
    assert.ok(Math.abs(size - bits / 8) < bits / 8 / 1000 + 4, `${share}: ${size} bytes for ${bits / 8}`);
  }
});

test('a decoder reads anything, also nothing, without an end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(codedBit, { maxLength: 600 }), (bytes, bits) => {
      const decoder = new BitDecoder(bytes);
      for (const { p } of bits) assert.ok([0, 1].includes(decoder.code(0, p)));
    }),
  );
});

test('an adaptive number learns what comes often', () => {
  const encoder = new BitEncoder();
  const model = new AdaptiveNumber(4);
  const values = Array.from({ length: 4000 }, (_, i) => (i % 50 === 0 ? i % 16 : 5));
  for (const value of values) model.code(encoder, value);
  const bytes = encoder.finish();
  assert.ok(bytes.length < 250, `${bytes.length} bytes, where 4 bits each would be 2000`);
  const decoder = new BitDecoder(bytes);
  const again = new AdaptiveNumber(4);
  for (const value of values) assert.equal(again.code(decoder, 0), value);
});

test('even numbers of any width come back', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 20 - 1 })), (values) => {
      const encoder = new BitEncoder();
      for (const value of values) codeEven(encoder, value, 20);
      const decoder = new BitDecoder(encoder.finish());
      for (const value of values) assert.equal(codeEven(decoder, 0, 20), value);
    }),
  );
});

test('bytes are at their end exactly where an encoder of the bits that were read finishes with them', () => {
  const seen = new Set<boolean>();
  fc.assert(
    fc.property(
      fc.array(codedBit, { maxLength: 80 }),
      fc.constantFrom('same', 'longer', 'shorter', 'other end', 'anything'),
      fc.uint8Array({ maxLength: 12 }),
      fc.integer({ min: 0, max: 255 }),
      (bits, change, any, last) => {
        const encoder = new BitEncoder();
        for (const { bit, p } of bits) encoder.code(bit, p);
        const written = encoder.finish();
        const bytes = {
          same: written,
          longer: Uint8Array.of(...written, last),
          shorter: written.subarray(0, -1),
          'other end': Uint8Array.of(...written.subarray(0, -1), last),
          anything: any,
        }[change];
        const decoder = new BitDecoder(bytes);
        const again = new BitEncoder();
        for (const { p } of bits) again.code(decoder.code(0, p), p);
        const own = Buffer.compare(again.finish(), bytes) === 0;
        assert.equal(decoder.atEnd(), own);
        seen.add(own);
      },
    ),
    { numRuns: 2000 },
  );
  assert.equal(seen.size, 2);
});
