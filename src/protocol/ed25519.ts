// Ed25519 (RFC 8032) with one exact rule of acceptance on every machine: libsodium and node:crypto in Node, @noble/curves elsewhere.
//
// RFC 8032 lets verifiers disagree, and two that disagree would replay one log into two states. The rule here:
//   1. S < L, so a signature cannot be altered into a second valid one (section 5.1.7, step 1);
//   2. the key A is canonical (y < p), and neither A nor the commitment R is of small order: with such a key one signature would be
//      valid for many messages; such an R never comes from a signer that follows the RFC, and some verifiers (WebCrypto, OpenSSL from
//      3.5) refuse it while others accept it;
//   3. the equation without cofactor, on bytes: encode([S]B - [k]A) equals R, k = SHA-512(R || A || M) mod L.
// OpenSSL checks 1 and 3. libsodium checks a little more, so only its "valid" counts. noble checks 3 with the cofactor, so the portable path
// computes 3 itself. Rules 1 and 2 are checked here for all.
import { bytesToNumberLE } from '@noble/curves/utils.js';
import { sha512 } from '@noble/hashes/sha2.js';
import { ed25519Curve } from '#curve25519';
import { loadSodium, type SodiumVerify } from './ed25519-sodium.ts';

export const SECRET_BYTES = 32;
export const PUBLIC_KEY_BYTES = 32;
export const SIGNATURE_BYTES = 64;

/** One implementation of the primitive. The caller checks lengths. */
export interface Ed25519 {
  /** The public key (32 bytes) of a secret seed (32 bytes). */
  publicKey(secret: Uint8Array): Uint8Array;
  /** A function that signs with a secret seed. */
  signer(secret: Uint8Array): (message: Uint8Array) => Uint8Array;
  /** Whether a signature (64 bytes) is valid under the rule above. Never throws. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
}

const P = 2n ** 255n - 19n;
/** The order of the group (RFC 8032, section 5.1). The test takes it from the curve. */
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/** The y coordinates of the eight points whose order divides 8; the sign of x does not matter. The test derives them from the curve. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  0n,
  1n,
  P - 1n,
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]);

/** Rule 1, and the part of rule 2 that needs no curve arithmetic. */
export function isAdmissible(publicKey: Uint8Array, signature: Uint8Array): boolean {
  // A scalar of 32 bytes whose top byte is below 0x10 is below L (L > 2^252), so the common case needs no big integers.
  const scalarFits = signature[63] < 0x10 || bytesToNumberLE(signature.subarray(32)) < L;
  return scalarFits && !isSmall(signature) && isOrdinary(publicKey);
}

const yOf = (point: Uint8Array): bigint => bytesToNumberLE(point) & ((1n << 255n) - 1n);

/** The first bytes of all points of small order: almost every other point is told apart by its first byte. */
const SMALL_ORDER_FIRST_BYTES: ReadonlySet<number> = new Set([...SMALL_ORDER_Y].map((y) => Number(y & 0xffn)));

/** Whether 32 bytes are the canonical encoding of a point that is not of small order, if of a point at all. */
export function isOrdinary(point: Uint8Array): boolean {
  // A y whose top bits are not all set is below p.
  if ((point[31] & 0x7f) !== 0x7f && !SMALL_ORDER_FIRST_BYTES.has(point[0])) return true;
  const y = yOf(point);
  return y < P && !SMALL_ORDER_Y.has(y);
}

/** Whether a signature's R is a point of small order. A non-canonical R equals no encoded point, so rule 3 refuses it. */
function isSmall(signature: Uint8Array): boolean {
  return SMALL_ORDER_FIRST_BYTES.has(signature[0]) && SMALL_ORDER_Y.has(yOf(signature.subarray(0, 32)));
}

/** The implementation in plain TypeScript, for browsers (WebCrypto has no synchronous verification). */
export const portableEd25519: Ed25519 = {
  publicKey: (secret) => ed25519Curve().getPublicKey(secret),
  signer: (secret) => {
    const seed = new Uint8Array(secret);
    return (message) => ed25519Curve().sign(message, seed);
  },
  verify: (publicKey, message, signature) => {
    if (!isAdmissible(publicKey, signature)) return false;
    const { Point } = ed25519Curve();
    let key: InstanceType<typeof Point>;
    try {
      key = Point.fromBytes(publicKey);
    } catch {
      return false;
    }
    const r = signature.subarray(0, 32);
    const k = bytesToNumberLE(sha512.create().update(r).update(publicKey).update(message).digest()) % L;
    const s = bytesToNumberLE(signature.subarray(32));
    const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k)).toBytes();
    return expected.every((byte, i) => byte === r[i]);
  },
};

const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto');

/** RFC 8410: what precedes the 32 bytes in the DER forms that node:crypto imports. */
const SPKI_PREFIX = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]);
const PKCS8_PREFIX = Uint8Array.from([
  0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
]);

/** Imported keys are cached, because importing takes a third of a verification. With more peers than this, keys are imported again. */
const KEY_CACHE_LIMIT = 16_384;

/**
 * By node:crypto. Where libsodium is installed, its "valid" is final, and what it refuses is checked by node:crypto. `loadSodium` is called
 * at the first verification, because most commands verify nothing.
 */
export function nodeEd25519(crypto: typeof import('node:crypto'), loadSodium: () => SodiumVerify | null): Ed25519 {
  type Key = ReturnType<typeof crypto.createPublicKey>;
  // Keyed by the raw bytes as a latin1 string.
  const cache = new Map<string, Key>();
  let sodium: SodiumVerify | null | undefined;
  const imported = (publicKey: Uint8Array): Key => {
    const name = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString('latin1');
    let key = cache.get(name);
    if (key === undefined) {
      const der = Buffer.concat([SPKI_PREFIX, publicKey]);
      key = crypto.createPublicKey({ key: der, format: 'der', type: 'spki' });
      if (cache.size >= KEY_CACHE_LIMIT) cache.delete(cache.keys().next().value!);
      cache.set(name, key);
    }
    return key;
  };
  const privateKey = (secret: Uint8Array) =>
    crypto.createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, secret]), format: 'der', type: 'pkcs8' });
  return {
    publicKey: (secret) => {
      const der = crypto.createPublicKey(privateKey(secret)).export({ format: 'der', type: 'spki' });
      return new Uint8Array(der.subarray(SPKI_PREFIX.length));
    },
    signer: (secret) => {
      const key = privateKey(secret);
      return (message) => new Uint8Array(crypto.sign(null, message, key));
    },
    verify: (publicKey, message, signature) => {
      if (!isAdmissible(publicKey, signature)) return false;
      try {
        if (sodium === undefined) sodium = loadSodium();
        if (sodium?.({ publicKey, message, signature })) return true;
        return crypto.verify(null, message, imported(publicKey), signature);
      } catch {
        return false; // Some builds of OpenSSL raise instead of answering when the key is not on the curve.
      }
    },
  };
}

/** The fastest implementation of this machine. */
export const fastEd25519: Ed25519 = nodeCrypto ? nodeEd25519(nodeCrypto, loadSodium) : portableEd25519;
