// Many signatures at once: whatever WebCrypto there is, the answers are those of one at a time, and none that breaks the rule is used.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToNumberLE, numberToBytesLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { fastEd25519, isAdmissible, portableEd25519 } from './ed25519.ts';
import { verifyMany, webVerifier } from './ed25519-many.ts';
import { ONLY_WITH_COFACTOR, type SignedBytes } from './ed25519-vectors.ts';
import { generateSecret } from './identity.ts';

const L = ed25519.Point.Fn.ORDER;
const MESSAGE = new TextEncoder().encode('a message');

function signed(message = MESSAGE): SignedBytes {
  const secret = generateSecret();
  return { publicKey: fastEd25519.publicKey(secret), message, signature: fastEd25519.signer(secret)(message) };
}

/** A signature by the scalar of a key over a commitment that somebody chose. */
function signedWith(
  scalar: bigint,
  publicKey: Uint8Array,
  nonce: bigint,
  r: Uint8Array,
  message = MESSAGE,
): SignedBytes {
  const k = bytesToNumberLE(sha512(Uint8Array.from([...r, ...publicKey, ...message]))) % L;
  const s = numberToBytesLE((nonce + k * scalar) % L, 32);
  return { publicKey, message, signature: Uint8Array.from([...r, ...s]) };
}

/** Good ones, bad ones, and those on which verifiers of the world disagree. */
function cases(): SignedBytes[] {
  const good = signed();
  const twin = good.signature.slice();
  twin.set(numberToBytesLE(bytesToNumberLE(twin.subarray(32)) + L, 32), 32);
  const scalar = 123456789n;
  const publicKey = ed25519.Point.BASE.multiply(scalar).toBytes();
  return [
    good,
    signed(new Uint8Array()),
    { ...good, message: Uint8Array.of(1) },
    { ...good, signature: good.signature.with(3, good.signature[3] ^ 1) },
    { ...good, publicKey: signed().publicKey },
    { ...good, signature: twin },
    { ...good, publicKey: new Uint8Array(32).fill(255) },
    { ...good, publicKey: new Uint8Array(32) },
    { ...good, publicKey: good.publicKey.subarray(1) },
    { ...good, signature: good.signature.subarray(1) },
    ONLY_WITH_COFACTOR,
    // R is the identity: some verifiers of the world take it.
    signedWith(scalar, publicKey, 0n, ed25519.Point.ZERO.toBytes()),
  ];
}

const oneAtATime = ({ publicKey, message, signature }: SignedBytes): boolean =>
  publicKey.length === 32 && signature.length === 64 && portableEd25519.verify(publicKey, message, signature);

test('the vector is valid with the cofactor only', () => {
  const { publicKey, message, signature } = ONLY_WITH_COFACTOR;
  assert.equal(ed25519.verify(signature, message, publicKey, { zip215: true }), true);
  assert.equal(portableEd25519.verify(publicKey, message, signature), false);
});

test('a scalar is admissible below the order of the group, and not from it on', () => {
  const { publicKey, signature } = signed();
  const with_s = (s: bigint): Uint8Array => Uint8Array.from([...signature.subarray(0, 32), ...numberToBytesLE(s, 32)]);
  assert.deepEqual([isAdmissible(publicKey, with_s(L - 1n)), isAdmissible(publicKey, with_s(L))], [true, false]);
});

const subtle = globalThis.crypto.subtle;
/** A WebCrypto that answers as a test says. */
const answering = (verify: (signature: Uint8Array) => boolean | Promise<boolean>): SubtleCrypto =>
  ({
    importKey: (...args: Parameters<SubtleCrypto['importKey']>) => subtle.importKey(...args),
    verify: async (_algorithm: unknown, _key: unknown, signature: Uint8Array) => verify(signature),
  }) as unknown as SubtleCrypto;

for (const [name, verifier] of Object.entries({
  'this machine’s way': verifyMany,
  'its WebCrypto': webVerifier(subtle),
  'no WebCrypto': webVerifier(undefined),
  'a WebCrypto without Ed25519': webVerifier({
    importKey: () => Promise.reject(new DOMException('no', 'NotSupportedError')),
  } as unknown as SubtleCrypto),
  'one that says yes to everything': webVerifier(answering(() => true)),
  'one that says no to everything': webVerifier(answering(() => false)),
  'one that fails': webVerifier(answering(() => Promise.reject(new DOMException('busy', 'OperationError')))),
})) {
  test(`the answers of one at a time: ${name}`, async () => {
    const all = cases();
    const expected = all.map(oneAtATime);
    assert.deepEqual(expected.slice(0, 3), [true, true, false]);
    assert.deepEqual(await verifier(all), expected);
    assert.deepEqual(await verifier([]), []);
  });
}

test('a WebCrypto that keeps to the rule is used', async () => {
  let asked = 0;
  const counting = {
    importKey: (...args: Parameters<SubtleCrypto['importKey']>) => subtle.importKey(...args),
    verify: (...args: Parameters<SubtleCrypto['verify']>) => {
      asked++;
      return subtle.verify(...args);
    },
  } as unknown as SubtleCrypto;
  const verifier = webVerifier(counting);
  await verifier([signed(), signed()]);
  assert.equal(asked, 2 + 2); // the two that test it, and these
  await verifier([signed()]);
  assert.equal(asked, 5);
});

test('any flipped bit is found, at its place among good ones', async () => {
  const [a, b, c] = [signed(), signed(), signed()];
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('publicKey', 'message', 'signature'), fc.nat(511), async (part, at) => {
      const bytes = b[part].slice();
      const bit = at % (8 * bytes.length);
      bytes[bit >> 3] ^= 1 << (bit & 7);
      assert.deepEqual(await webVerifier(subtle)([a, { ...b, [part]: bytes }, c]), [true, false, true]);
    }),
    { numRuns: 60 },
  );
});
