// The hash and the seeded stream must be the same on every machine: known answers, and properties of `below`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HASH_FORM, isHash, sha256Hex, sha512 } from './hash.ts';
import { seededRandom } from './random.ts';

test('SHA-256 of "abc" is FIPS 180-4 appendix B.1', () => {
  const abc = new TextEncoder().encode('abc');
  assert.equal(sha256Hex(abc), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.equal(sha256Hex(abc.subarray(0, 1), abc.subarray(1)), sha256Hex(abc));
});

test('SHA-512 of "abc" is FIPS 180-4 appendix C.1, also in parts', () => {
  const abc = new TextEncoder().encode('abc');
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  assert.match(hex(sha512(abc)), /^ddaf35a193617aba.*2a9ac94fa54ca49f$/);
  assert.equal(hex(sha512(abc.subarray(0, 1), abc.subarray(1))), hex(sha512(abc)));
});

test('a text is a hash exactly where its form says so', () => {
  const hash = '0123456789abcdef'.repeat(4);
  const other = fc.oneof(fc.constantFrom(...'`g/:AF\n\0é\u0130語'), fc.string({ unit: 'binary', maxLength: 2 }));
  fc.assert(
    fc.property(fc.nat(63), other, (at, letters) => {
      const text = hash.slice(0, at) + letters + hash.slice(at + 1);
      assert.equal(isHash(text), HASH_FORM.test(text), JSON.stringify(text));
    }),
  );
  for (const text of [hash, '', hash.slice(1), `${hash}0`, `${hash}\n`])
    assert.equal(isHash(text), HASH_FORM.test(text));
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
