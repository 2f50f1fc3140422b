// A verifiable random function over Ed25519 keys: RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI (section 5.5, suite 0x03). For one key and one
// input there is one output: whoever holds the key knows it before everybody else, proves it, and cannot choose it.
import type { ed25519 } from '@noble/curves/ed25519.js';
import { bytesToHex, concatBytes } from '@noble/hashes/utils.js';
import { ed25519Curve, sumOfMultiples } from '#curve25519';
import { isOrdinary } from './ed25519.ts';
import { loadSodiumPoints, type SodiumPoints } from './ed25519-sodium.ts';
import { sha512 } from './hash.ts';

type Point = InstanceType<typeof ed25519.Point>;

const SUITE = 0x03;
/** Of the points that signatures use. */
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;
const POINT_BYTES = 32;
const CHALLENGE_BYTES = 16;
export const PROOF_BYTES = POINT_BYTES + CHALLENGE_BYTES + 32;
/** Each candidate is a point with a chance of a half: that none of so many is one does not happen. */
const CANDIDATES = 256;

/** The number in bytes, the least significant first, and the way back. */
const numberOf = (bytes: Uint8Array): bigint => bytes.reduceRight((sum, byte) => (sum << 8n) + BigInt(byte), 0n);
const bytesOf = (number: bigint, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => Number((number >> BigInt(8 * i)) & 0xffn));

const hash = (domain: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  sha512(Uint8Array.of(SUITE, domain), ...parts, Uint8Array.of(0));

/** Section 5.4.1.1: the first of the hashes of (key, input, counter) that is a point, times the cofactor. */
function encodeToCurve(publicKey: Uint8Array, input: Uint8Array): Point {
  for (let counter = 0; counter < CANDIDATES; counter++) {
    const point = pointOf(hash(0x01, publicKey, input, Uint8Array.of(counter)).subarray(0, POINT_BYTES));
    const cleared = point?.clearCofactor();
    if (cleared && !cleared.is0()) return cleared;
  }
  throw new Error('unreachable: no candidate is a point');
}

/** Section 5.1.3 of RFC 8032; null where the bytes are no point or not its one encoding. */
function pointOf(bytes: Uint8Array): Point | null {
  try {
    return ed25519Curve().Point.fromBytes(bytes, false);
  } catch {
    return null;
  }
}

/** Section 5.4.3, of the points' bytes. */
const challengeBytes = (...points: readonly Uint8Array[]): Uint8Array =>
  hash(0x02, ...points).subarray(0, CHALLENGE_BYTES);
const challengeOf = (...points: readonly Point[]): bigint =>
  numberOf(challengeBytes(...points.map((point) => point.toBytes())));

/** Section 5.2: the output of a proof that is known to hold. Throws where the bytes are none. */
export function vrfOutput(proof: Uint8Array): Uint8Array {
  const known = outputs.get(bytesToHex(proof));
  return known?.slice() ?? outputOf(ed25519Curve().Point.fromBytes(proof.subarray(0, POINT_BYTES), false));
}

const outputOf = (gamma: Point): Uint8Array => hash(0x03, gamma.clearCofactor().toBytes());

/** Sections 5.1 and 5.4.2.2: the proof (80 bytes) of the output for an input, by the 32 bytes of an Ed25519 secret seed. */
export function proveVrf(secret: Uint8Array, input: Uint8Array): Uint8Array {
  const { prefix, scalar: x, point: key, pointBytes } = ed25519Curve().utils.getExtendedPublicKey(secret);
  const h = encodeToCurve(pointBytes, input);
  const gamma = h.multiply(x);
  const k = numberOf(sha512(prefix, h.toBytes())) % ORDER;
  const c = challengeOf(key, h, gamma, ed25519Curve().Point.BASE.multiply(k), h.multiply(k));
  const proof = new Uint8Array(PROOF_BYTES);
  proof.set(gamma.toBytes());
  proof.set(bytesOf(c, CHALLENGE_BYTES), POINT_BYTES);
  proof.set(bytesOf((k + c * x) % ORDER, 32), POINT_BYTES + CHALLENGE_BYTES);
  return proof;
}

/** What was looked at last: who asks whether an event may follow, and then applies it, asks twice, and one hub's key comes with every round. */
const recalled = new Map<string, Uint8Array | null>();
/** The outputs of proofs that were verified. */
const outputs = new Map<string, Uint8Array>();
/** Keys that may be verified with; null for those that may not. */
const keys = new Map<string, Point | null>();
const RECALLED = 64;

function recall<T>(map: Map<string, T>, name: string, compute: () => T): T {
  let value = map.get(name);
  if (value !== undefined) return value;
  value = compute();
  if (map.size === RECALLED) map.delete(map.keys().next().value!);
  map.set(name, value);
  return value;
}

/** Section 5.3: the output (64 bytes) that a proof proves for a key and an input; null where it proves none. Never throws. */
export function verifyVrf(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): Uint8Array | null {
  if (publicKey.length !== POINT_BYTES || proof.length !== PROOF_BYTES) return null;
  const asked = bytesToHex(concatBytes(publicKey, proof, input));
  if (native === undefined) native = loadSodiumPoints();
  const output = recall(
    recalled,
    asked,
    () => (native && verifiedNatively(native, publicKey, input, proof)) ?? verifiedPortably(publicKey, input, proof),
  );
  if (output) recall(outputs, bytesToHex(proof), () => output);
  return output?.slice() ?? null;
}

/** Loaded at the first verification: most commands verify none. */
let native: SodiumPoints | null | undefined;

/**
 * The same by libsodium's points, several times as fast. Only its yes counts: it is asked where neither the scalar nor the encoding of key or Gamma
 * is odd, and what it does not take, or cannot compute, is looked at again in plain TypeScript.
 */
export function verifiedNatively(
  { add, subtract, multiply, multiplyBase }: SodiumPoints,
  publicKey: Uint8Array,
  input: Uint8Array,
  proof: Uint8Array,
): Uint8Array | null {
  const gamma = proof.subarray(0, POINT_BYTES);
  const c = proof.subarray(POINT_BYTES, POINT_BYTES + CHALLENGE_BYTES);
  const s = proof.subarray(POINT_BYTES + CHALLENGE_BYTES);
  if (!isOrdinary(publicKey) || !isOrdinary(gamma) || s[31] >= 0x10) return null;
  const eightfold = (point: Uint8Array): Uint8Array => {
    const twofold = add(point, point);
    const fourfold = add(twofold, twofold);
    return add(fourfold, fourfold);
  };
  const encodeNatively = (): Uint8Array | null => {
    for (let counter = 0; counter < CANDIDATES; counter++) {
      const candidate = hash(0x01, publicKey, input, Uint8Array.of(counter)).subarray(0, POINT_BYTES);
      if (!isOrdinary(candidate)) return null;
      try {
        return eightfold(candidate);
      } catch {
        // It is no point.
      }
    }
    return null;
  };
  try {
    const h = encodeNatively();
    if (!h) return null;
    const challenge = new Uint8Array(32);
    challenge.set(c);
    const u = subtract(multiplyBase(s), multiply(challenge, publicKey));
    const v = subtract(multiply(s, h), multiply(challenge, gamma));
    const holds = challengeBytes(publicKey, h, gamma, u, v).every((byte, i) => byte === c[i]);
    return holds ? hash(0x03, eightfold(gamma)) : null;
  } catch {
    return null;
  }
}

/** Section 5.3 in plain TypeScript: what decides. Lengths are the caller's duty, as above. */
export function verifiedPortably(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): Uint8Array | null {
  const key = recall(keys, bytesToHex(publicKey), () => keyOf(publicKey));
  const gamma = pointOf(proof.subarray(0, POINT_BYTES));
  const c = numberOf(proof.subarray(POINT_BYTES, POINT_BYTES + CHALLENGE_BYTES));
  const s = numberOf(proof.subarray(POINT_BYTES + CHALLENGE_BYTES));
  if (!key || !gamma || s >= ORDER) return null;
  const h = encodeToCurve(publicKey, input);
  // The base point has a table of its multiples, which is faster than a walk that it would share.
  const u = ed25519Curve().Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(c));
  const v = sumOfMultiples([h, gamma.negate()], [s, c]);
  return challengeOf(key, h, gamma, u, v) === c ? outputOf(gamma) : null;
}

/** Section 5.4.5: a key of small order would have one output for all. */
function keyOf(publicKey: Uint8Array): Point | null {
  const key = pointOf(publicKey);
  return key?.isSmallOrder() ? null : key;
}
