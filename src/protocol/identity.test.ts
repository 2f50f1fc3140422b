// Identities: RFC 8032's vectors, and that all implementations of Ed25519 accept and refuse exactly the same.
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToHex, bytesToNumberLE, hexToBytes, numberToBytesLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { fastEd25519, nodeEd25519, portableEd25519 } from './ed25519.ts';
import { ProtocolError } from './errors.ts';
import { createIdentity, identityFromSecret, idOfPublicKey, publicKeyOf, verifySignature } from './identity.ts';

const IMPLEMENTATIONS = { fast: fastEd25519, openssl: nodeEd25519(crypto, () => null), portable: portableEd25519 };
const L = ed25519.Point.Fn.ORDER;
const P = 2n ** 255n - 19n;
const MESSAGE = new TextEncoder().encode('a message');

/** RFC 8032, section 7.1: TEST 1, 2, 3 and SHA(abc). */
const VECTORS = [
  {
    secret: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    message: '',
    signature:
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  },
  {
    secret: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    message: '72',
    signature:
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  },
  {
    secret: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    message: 'af82',
    signature:
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  },
  {
    secret: '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    publicKey: 'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    message:
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    signature:
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  },
];

for (const [name, implementation] of Object.entries(IMPLEMENTATIONS)) {
  test(`RFC 8032, section 7.1 vectors (${name})`, () => {
    for (const vector of VECTORS) {
      const secret = hexToBytes(vector.secret);
      const message = hexToBytes(vector.message);
      assert.equal(bytesToHex(implementation.publicKey(secret)), vector.publicKey);
      assert.equal(bytesToHex(implementation.signer(secret)(message)), vector.signature);
      assert.ok(implementation.verify(hexToBytes(vector.publicKey), message, hexToBytes(vector.signature)));
    }
  });
}

/** All implementations' answer, which must be one. */
function verdict(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const answers = Object.values(IMPLEMENTATIONS).map(({ verify }) => verify(publicKey, message, signature));
  assert.equal(new Set(answers).size, 1, `the implementations disagree: ${answers}`);
  return answers[0];
}

/** The eight points of order 1, 2, 4 and 8, as multiples of one of order 8. */
function smallOrderPoints() {
  for (let y = 2; ; y++) {
    try {
      const bytes = new Uint8Array(32);
      bytes[0] = y;
      const point = ed25519.Point.fromBytes(bytes);
      const torsion = point.multiplyUnsafe(L - 1n).add(point);
      if (torsion.multiplyUnsafe(4n).is0()) continue;
      return Array.from({ length: 8 }, (_, i) => (i === 0 ? ed25519.Point.ZERO : torsion.multiplyUnsafe(BigInt(i))));
    } catch {
      // This y is not on the curve.
    }
  }
}

test('the altered twin of a signature, S + L, is refused', () => {
  const { publicKey, message, signature } = VECTORS[1];
  const twin = hexToBytes(signature);
  twin.set(numberToBytesLE(bytesToNumberLE(twin.subarray(32)) + L, 32), 32);
  assert.equal(verdict(hexToBytes(publicKey), hexToBytes(message), twin), false);
});

test('keys of small order are refused, in every encoding', () => {
  const points = smallOrderPoints();
  assert.equal(new Set(points.map((point) => point.toHex())).size, 8);
  let encodings = 0;
  for (const point of points) {
    const { y } = point.toAffine();
    // y and, where it fits 255 bits, y + p; each with either sign of x.
    for (const value of [y, y + P].filter((v) => v < 2n ** 255n)) {
      for (const sign of [0n, 1n << 255n]) {
        const publicKey = numberToBytesLE(value | sign, 32);
        // R = identity, S = 0 satisfies the equation for a key of small order whenever k is a multiple of its order.
        const signature = new Uint8Array(64);
        signature[0] = 1;
        for (let i = 0; i < 16; i++) assert.equal(verdict(publicKey, Uint8Array.of(i), signature), false);
        encodings++;
      }
    }
  }
  assert.ok(encodings >= 20);
});

test('a commitment of small order is refused, whoever signs with it', () => {
  const scalar = 123456789n;
  let exact = 0;
  for (const inKey of smallOrderPoints()) {
    for (const r of smallOrderPoints().map((point) => point.toBytes())) {
      const publicKey = ed25519.Point.BASE.multiply(scalar).add(inKey).toBytes();
      for (let i = 0; i < 8; i++) {
        const message = Uint8Array.of(i);
        const k = bytesToNumberLE(sha512(Uint8Array.from([...r, ...publicKey, ...message]))) % L;
        const s = (k * scalar) % L;
        const found = ed25519.Point.BASE.multiply(s).subtract(ed25519.Point.fromBytes(publicKey).multiply(k));
        if (found.toBytes().every((byte, at) => byte === r[at])) exact++; // only this rule refuses it
        assert.equal(verdict(publicKey, message, Uint8Array.from([...r, ...numberToBytesLE(s, 32)])), false);
      }
    }
  }
  assert.ok(exact > 0, 'some of them satisfy the equation');
});

test('a key that is not canonical (y >= p) or not on the curve is refused', () => {
  const { message, signature } = VECTORS[0];
  for (let y = P; y < P + 19n; y++) {
    assert.equal(verdict(numberToBytesLE(y, 32), hexToBytes(message), hexToBytes(signature)), false);
  }
  for (let i = 0; i < 32; i++) {
    const key = new Uint8Array(32).fill(i + 1);
    assert.equal(verdict(key, hexToBytes(message), hexToBytes(signature)), false);
  }
});

test('keys and commitments with a part of small order: the implementations agree, and only the exact equation counts', () => {
  const scalar = 123456789n;
  let accepted = 0;
  for (const inKey of smallOrderPoints()) {
    for (const inR of smallOrderPoints()) {
      const publicKey = ed25519.Point.BASE.multiply(scalar).add(inKey).toBytes();
      const nonce = 987654321n;
      const r = ed25519.Point.BASE.multiply(nonce).add(inR).toBytes();
      const k = bytesToNumberLE(sha512(Uint8Array.from([...r, ...publicKey, ...MESSAGE]))) % L;
      const s = numberToBytesLE((nonce + k * scalar) % L, 32);
      // With the cofactor all 64 would be accepted.
      if (verdict(publicKey, MESSAGE, Uint8Array.from([...r, ...s]))) accepted++;
    }
  }
  assert.ok(accepted > 0 && accepted < 64, `accepted ${accepted} of 64`);
});

test('any flipped bit of key, message or signature is refused by all', () => {
  const secret = hexToBytes(VECTORS[0].secret);
  const parts = [fastEd25519.publicKey(secret), MESSAGE, fastEd25519.signer(secret)(MESSAGE)];
  assert.ok(verdict(parts[0], parts[1], parts[2]));
  fc.assert(
    fc.property(fc.nat(2), fc.nat(8 * 64 - 1), (part, at) => {
      const changed = parts.map((bytes) => bytes.slice());
      const bit = at % (8 * changed[part].length);
      changed[part][bit >> 3] ^= 1 << (bit & 7);
      return !verdict(changed[0], changed[1], changed[2]);
    }),
    { numRuns: 200 },
  );
});

test('an identity signs as its id, the same each time, and nobody else does', async () => {
  const [ana, ben] = [createIdentity(), createIdentity()];
  assert.match(ana.id, /^[0-9a-f]{64}$/);
  assert.notEqual(ana.id, ben.id);
  const signature = await ana.sign(MESSAGE);
  assert.deepEqual(await ana.sign(MESSAGE), signature);
  assert.equal(verifySignature(ana.id, MESSAGE, signature), true);
  assert.equal(verifySignature(ben.id, MESSAGE, signature), false);
  assert.equal(identityFromSecret(hexToBytes(VECTORS[0].secret)).id, VECTORS[0].publicKey);
  assert.equal(JSON.stringify(ana), JSON.stringify({ id: ana.id }), 'the secret must not be reachable');
});

test('malformed ids, signatures and secrets', () => {
  const signature = new Uint8Array(64);
  for (const id of ['', 'zz', 'AB'.repeat(32), 'ab'.repeat(31), `${'ab'.repeat(32)}\n`]) {
    assert.equal(verifySignature(id, MESSAGE, signature), false);
    assert.throws(
      () => publicKeyOf(id),
      (error) => error instanceof ProtocolError && error.code === 'bad-id',
    );
  }
  for (const length of [0, 63, 65]) {
    assert.equal(verifySignature(VECTORS[0].publicKey, MESSAGE, new Uint8Array(length)), false);
  }
  for (const length of [0, 31, 33, 64]) {
    assert.throws(
      () => identityFromSecret(new Uint8Array(length)),
      (error) => error instanceof ProtocolError && error.code === 'bad-secret',
    );
  }
});

test('keys that begin alike have each their own id, whoever was asked before', () => {
  const key = (last: number) => Uint8Array.from({ length: 32 }, (_, i) => (i === 31 ? last : i));
  const buffer = Buffer.from(key(1));
  assert.equal(idOfPublicKey(buffer), bytesToHex(key(1)));
  buffer[31] = 2;
  for (const last of [1, 2, 2, 1]) assert.equal(idOfPublicKey(key(last)), bytesToHex(key(last)));
  assert.equal(idOfPublicKey(key(1).subarray(0, 31)), bytesToHex(key(1).subarray(0, 31)));
});
