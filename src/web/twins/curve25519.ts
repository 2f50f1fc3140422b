// What browsers get in place of protocol/curve25519.ts: the arithmetic is theirs from the start, because WebCrypto signs nothing at once.
import { ed25519 } from '@noble/curves/ed25519.js';

export const ed25519Curve = (): typeof ed25519 => ed25519;
