// A libsodium whose yes breaks the rule is not used. That this machine's keeps to it, identity.test.ts shows by keys and commitments made for that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { portableEd25519 } from './ed25519.ts';
import { type SodiumVerify, trustedSodium } from './ed25519-sodium.ts';
import { ONLY_WITH_COFACTOR, VALID } from './ed25519-vectors.ts';

test('one that multiplies by the cofactor, or takes everything, or nothing, or fails, is not used', () => {
  const answering = (verify: SodiumVerify) => ({
    crypto_sign_verify_detached: (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) =>
      verify({ signature, message, publicKey }),
  });
  const zip215: SodiumVerify = ({ signature, message, publicKey }) => ed25519.verify(signature, message, publicKey);
  assert.equal(zip215(ONLY_WITH_COFACTOR), true);
  const fails: SodiumVerify = () => {
    throw new Error('no');
  };
  for (const verify of [zip215, () => true, () => false, fails]) assert.equal(trustedSodium(answering(verify)), null);
  for (const other of [null, {}, undefined]) assert.equal(trustedSodium(other), null);
  const strict = trustedSodium(answering((one) => portableEd25519.verify(one.publicKey, one.message, one.signature)));
  assert.equal(strict?.(VALID), true);
});
