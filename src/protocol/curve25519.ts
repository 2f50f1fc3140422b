// The arithmetic behind Ed25519 in plain TypeScript, for who cannot do without: Node does, and loads it when it is first asked for.
// Browsers get src/web/twins/curve25519.ts in its place.
import { createRequire } from 'node:module';

type Ed25519Module = typeof import('@noble/curves/ed25519.js');
type CurveModule = typeof import('@noble/curves/abstract/curve.js');
type Point = InstanceType<Ed25519Module['ed25519']['Point']>;

const require = createRequire(import.meta.url);
let loaded: Ed25519Module | undefined;
let multiples: CurveModule | undefined;

/** noble's curve. Building its tables takes as long as starting Node. */
export function ed25519Curve(): Ed25519Module['ed25519'] {
  loaded ??= require('@noble/curves/ed25519.js') as Ed25519Module;
  return loaded.ed25519;
}

/** The sum of points, each times a number from 0 to below the order of the curve: one walk for all. Not for secret numbers. */
export function sumOfMultiples(points: Point[], numbers: bigint[]): Point {
  multiples ??= require('@noble/curves/abstract/curve.js') as CurveModule;
  return multiples.mulAddUnsafe(ed25519Curve().Point, points, numbers);
}
