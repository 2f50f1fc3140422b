// Random bytes from a pool: each is given out once, whatever lengths are asked for, and nothing of them stays.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { openNonces } from './nonces.ts';

test('no byte of the source is given out twice, whatever lengths are asked for', () => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 8, max: 100 }), fc.integer({ min: 4000, max: 5000 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(lengths, (lengths) => {
      const drawn: { readonly bytes: Buffer; end: number }[] = [];
      const nonces = openNonces((pool) => {
        randomFillSync(pool);
        drawn.push({ bytes: Buffer.from(pool), end: 0 });
      });
      for (const length of lengths) {
        const nonce = Buffer.from(nonces(length));
        assert.equal(nonce.length, length);
        // Eight random bytes are nowhere else by chance.
        const from = drawn.find(({ bytes }) => bytes.includes(nonce))!;
        const at = from.bytes.indexOf(nonce);
        assert.ok(at >= from.end, 'in the order of the source');
        from.end = at + length;
      }
    }),
    { numRuns: 50 },
  );
});

test('what was given out is the caller’s own, and is not in the pool any more', () => {
  let pool = new Uint8Array();
  const nonces = openNonces((bytes) => {
    pool = bytes as Uint8Array<ArrayBuffer>;
    bytes.fill(7);
  });
  const first = nonces(32);
  first.fill(0);
  assert.deepEqual(nonces(32), new Uint8Array(32).fill(7));
  assert.deepEqual(pool.slice(0, 64), new Uint8Array(64));
  assert.equal(pool[64], 7);
});
