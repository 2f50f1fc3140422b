// An identity is an Ed25519 key pair. A peer's id is its public key as 64 lower-case hexadecimal digits.
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js';
import { ed25519Curve, x25519Curve } from '#curve25519';
import { proveVrf } from './ecvrf.ts';
import { fastEd25519, SECRET_BYTES, SIGNATURE_BYTES } from './ed25519.ts';
import { ProtocolError } from './errors.ts';
import { isHash } from './hash.ts';

/** A key that can sign. The secret itself is not reachable from here; in a tab it may live inside WebCrypto. */
export interface Identity {
  /** The public key as 64 lower-case hexadecimal digits. */
  readonly id: string;
  /** The 64-byte Ed25519 signature of a message. The same message always gives the same signature (RFC 8032). */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A key that also computes a verifiable random function (ecvrf.ts): the hub draws with it. */
export interface DrawingIdentity extends Identity {
  /** The 80 bytes that prove the function's output for an input. */
  prove(input: Uint8Array): Uint8Array;
}

/** A key that also agrees on secrets with others: what is sealed to its id, it opens (sealed-box.ts). */
export interface OpeningIdentity extends Identity {
  /** The secret shared with the holder of a point's secret (X25519, RFC 7748). Throws for a point of small order. */
  agree(point: Uint8Array): Uint8Array;
}

/** Whether a string has the form of a peer id. It says nothing about the key behind it. */
export function isPeerId(text: string): boolean {
  return isHash(text);
}

/** The 32 bytes of a peer id's public key. Throws ProtocolError `bad-id`. */
export function publicKeyOf(id: string): Uint8Array {
  if (!isPeerId(id)) {
    throw new ProtocolError(
      'bad-id',
      `a peer id is 64 lower-case hexadecimal digits, got ${JSON.stringify(id).slice(0, 80)}`,
    );
  }
  return hexToBytes(id);
}

/** Whose id was asked last, each at the place that the first two bytes of the key give it: the same few sign most of a log. */
const RECENT = 4096;
const recent = new Array<{ readonly publicKey: Uint8Array; readonly id: string } | undefined>(RECENT).fill(undefined);

/** The peer id of a 32-byte public key. */
export function idOfPublicKey(publicKey: Uint8Array): string {
  const place = (publicKey[0] * 0x100 + publicKey[1]) % RECENT;
  const there = recent[place];
  if (there && there.publicKey.length === publicKey.length) {
    let i = 0;
    while (i < publicKey.length && there.publicKey[i] === publicKey[i]) i++;
    if (i === publicKey.length) return there.id;
  }
  const id = bytesToHex(publicKey);
  recent[place] = { publicKey: new Uint8Array(publicKey), id };
  return id;
}

/** A fresh secret seed of 32 bytes from the system's random source. */
export function generateSecret(): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(SECRET_BYTES));
}

/** A new identity in memory only. Use identityFromSecret, or loadOrCreateIdentity in Node, for one that is to be kept. */
export function createIdentity(): DrawingIdentity & OpeningIdentity {
  return identityFromSecret(generateSecret());
}

/** The identity of a 32-byte secret seed (RFC 8032, section 5.1.5). Throws ProtocolError `bad-secret` for another length. */
export function identityFromSecret(secret: Uint8Array): DrawingIdentity & OpeningIdentity {
  if (secret.length !== SECRET_BYTES) {
    throw new ProtocolError('bad-secret', `a secret is a seed of ${SECRET_BYTES} bytes, got ${secret.length}`);
  }
  const sign = fastEd25519.signer(secret);
  return {
    id: idOfPublicKey(fastEd25519.publicKey(secret)),
    sign: async (message) => sign(message),
    prove: (input) => proveVrf(secret, input),
    agree: (point) => x25519Curve().getSharedSecret(ed25519Curve().utils.toMontgomerySecret(secret), point),
  };
}

/**
 * Whether `signature` is the signature of `message` by the peer `id`. The same answer on every machine: ed25519.ts states the rule.
 * False for a malformed id or signature; never throws.
 */
export function verifySignature(id: string, message: Uint8Array, signature: Uint8Array): boolean {
  return isPeerId(id) && verifyWithKey(hexToBytes(id), message, signature);
}

/** As verifySignature, for a caller that has the 32 bytes of the key. */
export function verifyWithKey(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  return (
    publicKey.length === 32 && signature.length === SIGNATURE_BYTES && fastEd25519.verify(publicKey, message, signature)
  );
}
