// The hash and the seeded stream must be the same on every machine: known answers, and properties of `below`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from './hash.ts';
import { seededRandom } from './random.ts';

test('SHA-256 of "abc" is FIPS 180-4 appendix B.1', () => {
  const abc = new TextEncoder().encode('abc');
  assert.equal(sha256Hex(abc), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.equal(sha256Hex(abc.subarray(0, 1), abc.subarray(1)), sha256Hex(abc));
});

test('a seeded stream repeats, and its label and parts keep streams apart', () => {
  const draw = (...parts: [string, ...(string | number)[]]) => {
    const random = seededRandom(...parts);
    return Array.from({ length: 8 }, () => random.uint32());
  };
  assert.deepEqual(draw('data', 'run', 1), draw('data', 'run', 1));
  assert.notDeepEqual(draw('data', 'ab', 'c'), draw('data', 'a', 'bc'));
  assert.notDeepEqual(draw('data', 'run', 1), draw('data', 'run', 2));
});

test('below(bound) stays in range for every bound', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.string(), (bound, seed) => {
      const value = seededRandom('test', seed).below(bound);
      return Number.isInteger(value) && value >= 0 && value < bound;
    }),
  );
});
