// The arithmetic behind Ed25519 in plain TypeScript, for who cannot do without: Node does, and loads it when it is first asked for.
// Browsers get src/web/twins/curve25519.ts in its place.
import { createRequire } from 'node:module';

type Ed25519Module = typeof import('@noble/curves/ed25519.js');

let loaded: Ed25519Module | undefined;

/** noble's curve. Building its tables takes as long as starting Node. */
export function ed25519Curve(): Ed25519Module['ed25519'] {
  loaded ??= createRequire(import.meta.url)('@noble/curves/ed25519.js') as Ed25519Module;
  return loaded.ed25519;
}
