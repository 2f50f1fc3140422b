// The arithmetic behind Ed25519 in plain TypeScript. Node has its own and loads this one only when something first asks for it.
// Browsers get src/web/twins/curve25519.ts in its place.
import { createRequire } from 'node:module';

type Ed25519Module = typeof import('@noble/curves/ed25519.js');
type CurveModule = typeof import('@noble/curves/abstract/curve.js');
type Point = InstanceType<Ed25519Module['ed25519']['Point']>;

const require = createRequire(import.meta.url);
let loaded: Ed25519Module | undefined;
let multiples: CurveModule | undefined;

/** noble's curve. Building its tables takes as long as starting Node. */
export const ed25519Curve = (): Ed25519Module['ed25519'] => load().ed25519;

/** The same curve in Montgomery's form, on which keys are agreed (RFC 7748). */
export const x25519Curve = (): Ed25519Module['x25519'] => load().x25519;

function load(): Ed25519Module {
  loaded ??= require('@noble/curves/ed25519.js') as Ed25519Module;
  return loaded;
}

/** The sum of points, each times a number in [0, order of the curve), computed in one pass. Not for secret numbers: it is not constant-time. */
export function sumOfMultiples(points: Point[], numbers: bigint[]): Point {
  multiples ??= require('@noble/curves/abstract/curve.js') as CurveModule;
  return multiples.mulAddUnsafe(ed25519Curve().Point, points, numbers);
}
