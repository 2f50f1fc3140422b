// The verifiable random function: the examples of RFC 9381, appendix B.3; one output for a key and an input; nothing else passes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex, concatBytes, hexToBytes } from '@noble/hashes/utils.js';
import fc from 'fast-check';
import { PROOF_BYTES, proveVrf, verifiedNatively, verifiedPortably, verifyVrf, vrfOutput } from './ecvrf.ts';
import { fastEd25519 } from './ed25519.ts';
import { loadSodiumPoints } from './ed25519-sodium.ts';

/** Examples 16, 17 and 18: secret seed, public key, input, proof, output. */
const EXAMPLES = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    '8657106690b5526245a92b003bb079ccd1a92130477671f6fc01ad16f26f723f26f8a57ccaed74ee1b190bed1f479d9727d2d0f9b005a6e456a35d4fb0daab1268a1b0db10836d9826a528ca76567805',
    '90cf1df3b703cce59e2a35b925d411164068269d7b2d29f3301c03dd757876ff66b71dda49d2de59d03450451af026798e8f81cd2e333de5cdf4f3e140fdd8ae',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    'f3141cd382dc42909d19ec5110469e4feae18300e94f304590abdced48aed5933bf0864a62558b3ed7f2fea45c92a465301b3bbf5e3e54ddf2d935be3b67926da3ef39226bbc355bdc9850112c8f4b02',
    'eb4440665d3891d668e7e0fcaf587f1b4bd7fbfe99d0eb2211ccec90496310eb5e33821bc613efb94db5e5b54c70a848a0bef4553a41befc57663b56373a5031',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '9bc0f79119cc5604bf02d23b4caede71393cedfbb191434dd016d30177ccbf8096bb474e53895c362d8628ee9f9ea3c0e52c7a5c691b6c18c9979866568add7a2d41b00b05081ed0f58ee5e31b3a970e',
    '645427e5d00c62a23fb703732fa5d892940935942101e456ecca7bb217c61c452118fec1219202a0edcf038bb6373241578be7217ba85a2687f7a0310b2df19f',
  ],
] as const;

const native = loadSodiumPoints();
const ONE_PATH = { skip: native ? false : 'no sodium-native here' };

test('the examples of the RFC', () => {
  for (const [secret, publicKey, input, proof, output] of EXAMPLES) {
    assert.equal(bytesToHex(proveVrf(hexToBytes(secret), hexToBytes(input))), proof);
    const proved = verifyVrf(hexToBytes(publicKey), hexToBytes(input), hexToBytes(proof));
    assert.equal(proved && bytesToHex(proved), output);
    assert.equal(bytesToHex(vrfOutput(hexToBytes(proof))), output);
  }
});

test('what is proved with a key is verified with it, for no other key and no other input', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(bytes(32), bytes(32), fc.uint8Array({ maxLength: 80 }), (secret, other, input) => {
      const proof = proveVrf(secret, input);
      const key = fastEd25519.publicKey(secret);
      const output = verifyVrf(key, input, proof);
      assert.equal(output?.length, 64);
      assert.deepEqual(verifyVrf(key, input, proveVrf(secret, input)), output, 'the same again');
      verifyVrf(key, input, proof)!.fill(0);
      assert.deepEqual(verifyVrf(key, input, proof), output, 'what is done with an answer changes no other');
      assert.equal(verifyVrf(key, Uint8Array.of(...input, 0), proof), null);
      if (!other.every((byte, i) => byte === secret[i])) {
        assert.equal(verifyVrf(fastEd25519.publicKey(other), input, proof), null);
      }
    }),
    { numRuns: 10 },
  );
});

test('a proof with one bit changed proves nothing', () => {
  const [, key, input, proof] = EXAMPLES[2].map(hexToBytes);
  fc.assert(
    fc.property(fc.nat(PROOF_BYTES * 8 - 1), (bit) => {
      const changed = Uint8Array.from(proof);
      changed[bit >> 3] ^= 1 << (bit & 7);
      assert.equal(verifyVrf(key, input, changed), null);
    }),
    { numRuns: 40 },
  );
});

test('keys of small order, encodings that are not canonical, scalars that are too large and wrong lengths are refused', () => {
  const [, key, input, proof] = EXAMPLES[0].map(hexToBytes);
  const with_gamma = (hex: string) => Uint8Array.of(...hexToBytes(hex), ...proof.subarray(32));
  const identity = `01${'00'.repeat(31)}`;
  for (const bad of [identity, `${'00'.repeat(31)}80`, `ee${'ff'.repeat(30)}7f`, '00'.repeat(31), 'ff'.repeat(32)]) {
    assert.equal(verifyVrf(hexToBytes(bad), input, proof), null, bad);
  }
  assert.equal(verifyVrf(key, input, with_gamma(`01${'00'.repeat(30)}80`)), null);
  assert.equal(verifyVrf(key, input, Uint8Array.of(...proof.subarray(0, 48), ...hexToBytes('ff'.repeat(32)))), null);
  for (const length of [0, 79, 81]) assert.equal(verifyVrf(key, input, new Uint8Array(length)), null);
});

test('by libsodium: the examples of the RFC, and no proof with one bit changed', ONE_PATH, () => {
  for (const [, publicKey, input, proof, output] of EXAMPLES) {
    const proved = verifiedNatively(native!, hexToBytes(publicKey), hexToBytes(input), hexToBytes(proof));
    assert.equal(proved && bytesToHex(proved), output);
  }
  const [, key, input, proof] = EXAMPLES[2].map(hexToBytes);
  for (let bit = 0; bit < PROOF_BYTES * 8; bit++) {
    const changed = Uint8Array.from(proof);
    changed[bit >> 3] ^= 1 << (bit & 7);
    assert.equal(verifiedNatively(native!, key, input, changed), null, `bit ${bit}`);
  }
});

test('by libsodium and in plain TypeScript the same, for every key and input', ONE_PATH, () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  fc.assert(
    fc.property(bytes(32), fc.uint8Array({ maxLength: 80 }), (secret, input) => {
      const [key, proof] = [fastEd25519.publicKey(secret), proveVrf(secret, input)];
      const output = verifiedNatively(native!, key, input, proof);
      assert.ok(output);
      assert.deepEqual(verifiedPortably(key, input, proof), output);
      assert.equal(verifiedNatively(native!, key, Uint8Array.of(...input, 0), proof), null);
    }),
    { numRuns: 20 },
  );
});

test('by libsodium: a scalar of the order and more, which has a smaller one that holds, is no yes', ONE_PATH, () => {
  const [, key, input, proof] = EXAMPLES[0].map(hexToBytes);
  const s = bytesToNumberLE(proof.subarray(48)) + ed25519.Point.Fn.ORDER;
  const larger = concatBytes(proof.subarray(0, 48), numberToBytesLE(s, 32));
  assert.equal(verifiedNatively(native!, key, input, larger), null);
  assert.equal(verifyVrf(key, input, larger), null);
});

test('a Gamma outside of the subgroup that the equations hold for: libsodium does not take it, the answer is the one of browsers', () => {
  const [secret, key, input, , output] = EXAMPLES[0].map(hexToBytes);
  const { Point } = ed25519;
  const { scalar } = ed25519.utils.getExtendedPublicKey(secret);
  const h = encoded(key, input);
  // The point of order two: an even challenge makes it vanish from the equation, and the output is cleared of it.
  const odd = h.multiply(scalar).add(Point.fromAffine({ x: 0n, y: Point.Fp.ORDER - 1n }));
  for (let k = 1n; ; k++) {
    const points = [Point.fromBytes(key), h, odd, Point.BASE.multiply(k), h.multiply(k)];
    const hashed = concatBytes(Uint8Array.of(3, 2), ...points.map((point) => point.toBytes()), Uint8Array.of(0));
    const c = sha512(hashed).subarray(0, 16);
    if (c[0] % 2 !== 0) continue;
    const s = (k + bytesToNumberLE(c) * scalar) % Point.Fn.ORDER;
    const proof = concatBytes(odd.toBytes(), c, numberToBytesLE(s, 32));
    assert.deepEqual(verifiedPortably(key, input, proof), output);
    if (native) assert.equal(verifiedNatively(native, key, input, proof), null);
    assert.deepEqual(verifyVrf(key, input, proof), output);
    return;
  }
});

/** Section 5.4.1.1, once more. */
function encoded(key: Uint8Array, input: Uint8Array): InstanceType<typeof ed25519.Point> {
  for (let counter = 0; ; counter++) {
    const candidate = sha512(concatBytes(Uint8Array.of(3, 1), key, input, Uint8Array.of(counter, 0))).subarray(0, 32);
    try {
      return ed25519.Point.fromBytes(candidate, false).clearCofactor();
    } catch {
      // The next one may be a point.
    }
  }
}
