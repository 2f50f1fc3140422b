// Ed25519 verification by libsodium, twice as fast as OpenSSL's, where it is installed and keeps to the rule of ed25519.ts.
import { ONLY_WITH_COFACTOR, type SignedBytes, VALID } from './ed25519-vectors.ts';

/** libsodium's answer. Only its yes counts: it refuses a little more than the rule does. */
export type SodiumVerify = (signed: SignedBytes) => boolean;

/** As sodium-native has it: `(signature, message, publicKey)`. */
type Detached = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;

/** A verifier of sodium-native's, if it refuses what is valid with the cofactor only, as some versions of libsodium do not. */
export function trustedSodium(sodium: unknown): SodiumVerify | null {
  const detached = (sodium as { crypto_sign_verify_detached?: Detached } | null)?.crypto_sign_verify_detached;
  if (typeof detached !== 'function') return null;
  const verify: SodiumVerify = ({ publicKey, message, signature }) => detached(signature, message, publicKey) === true;
  try {
    return verify(VALID) && !verify(ONLY_WITH_COFACTOR) ? verify : null;
  } catch {
    return null;
  }
}

/** The native library of this machine, or null: a browser, a platform without a binary, an installation that leaves it out. */
export function loadSodium(): SodiumVerify | null {
  // By way of createRequire, so that nothing of it comes into the page, and because an import could not be waited for here.
  const createRequire = globalThis.process?.getBuiltinModule?.('node:module')?.createRequire;
  if (!createRequire) return null;
  try {
    return trustedSodium(createRequire(import.meta.url)('sodium-native'));
  } catch {
    return null;
  }
}
