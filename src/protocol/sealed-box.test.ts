// Sealed boxes: the same as libsodium's in both directions; nobody else opens one, and no changed byte passes.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from './errors.ts';
import { createIdentity, generateSecret, identityFromSecret, publicKeyOf } from './identity.ts';
import { BOX_BYTES, openSealed, sealTo } from './sealed-box.ts';

const refused = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code;

test('what is sealed to a key, it opens; another key does not, and no two boxes are alike', () => {
  const [owner, other] = [createIdentity(), createIdentity()];
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (message) => {
      const box = sealTo(owner.id, message);
      assert.equal(box.length, message.length + BOX_BYTES);
      assert.deepEqual(openSealed(owner, box), message);
      assert.throws(() => openSealed(other, box), refused('not-sealed-to-this-key'));
      assert.notDeepEqual(sealTo(owner.id, message), box);
    }),
    { numRuns: 20 },
  );
});

test('a box with any byte changed, cut or empty is refused, and so is an id that is no key', () => {
  const owner = createIdentity();
  const box = sealTo(owner.id, new TextEncoder().encode('idle'));
  for (let i = 0; i < box.length; i++) {
    const changed = Uint8Array.from(box);
    changed[i] ^= 0x80;
    assert.throws(() => openSealed(owner, changed), refused('not-sealed-to-this-key'), `byte ${i}`);
  }
  for (const size of [0, 31, 32, BOX_BYTES - 1, box.length - 1]) {
    assert.throws(() => openSealed(owner, box.subarray(0, size)), refused('not-sealed-to-this-key'));
  }
  assert.throws(() => openSealed(owner, new Uint8Array(80)), refused('not-sealed-to-this-key')); // a point of small order
  for (const id of ['', 'ff'.repeat(32), `02${'00'.repeat(31)}`]) {
    assert.throws(() => sealTo(id, new Uint8Array(1)), refused('bad-id'), id);
  }
});

test('libsodium opens our boxes, and we open its', (t) => {
  let sodium: Record<string, (...of: unknown[]) => unknown> & Record<'crypto_sign_SECRETKEYBYTES', number>;
  try {
    sodium = createRequire(import.meta.url)('sodium-native');
  } catch {
    return t.skip('sodium-native is not installed');
  }
  const secret = generateSecret();
  const { id } = identityFromSecret(secret);
  const [publicKey, secretKey] = [new Uint8Array(32), new Uint8Array(32)];
  sodium.crypto_sign_ed25519_pk_to_curve25519(publicKey, publicKeyOf(id));
  const whole = new Uint8Array(64);
  whole.set(secret);
  whole.set(publicKeyOf(id), 32);
  sodium.crypto_sign_ed25519_sk_to_curve25519(secretKey, whole);
  const message = new TextEncoder().encode('paused: it is hot');
  const theirs = new Uint8Array(message.length + BOX_BYTES);
  sodium.crypto_box_seal(theirs, message, publicKey);
  assert.deepEqual(openSealed(identityFromSecret(secret), theirs), message);
  const opened = new Uint8Array(message.length);
  assert.equal(sodium.crypto_box_seal_open(opened, sealTo(id, message), publicKey, secretKey), true);
  assert.deepEqual(opened, message);
});
