// Replaces protocol/curve25519.ts in browsers, which need the arithmetic from the start, because WebCrypto cannot sign synchronously.
import { mulAddUnsafe } from '@noble/curves/abstract/curve.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';

type Point = InstanceType<typeof ed25519.Point>;

export const ed25519Curve = (): typeof ed25519 => ed25519;

export const x25519Curve = (): typeof x25519 => x25519;

export const sumOfMultiples = (points: Point[], numbers: bigint[]): Point =>
  mulAddUnsafe(ed25519.Point, points, numbers);
