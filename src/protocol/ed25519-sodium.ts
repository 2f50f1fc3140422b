// Ed25519 verification by libsodium, twice as fast as OpenSSL's. Used where libsodium is installed and follows the rule of ed25519.ts.
import { ONLY_WITH_COFACTOR, type SignedBytes, VALID } from './ed25519-vectors.ts';

/** libsodium's answer. Only "valid" counts: libsodium refuses some signatures that the rule accepts. */
export type SodiumVerify = (signed: SignedBytes) => boolean;

/** The signature of sodium-native's function: `(signature, message, publicKey)`. */
type Detached = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array) => boolean;

/** sodium-native's verifier; null if it accepts a signature that is valid only with the cofactor, as some versions of libsodium do. */
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

/** This machine's native library; null in a browser, on a platform without a binary, and where the optional package is not installed. */
export function loadSodium(): SodiumVerify | null {
  // Through createRequire: a static import would put it into the page, and this function cannot wait for a dynamic one.
  const createRequire = globalThis.process?.getBuiltinModule?.('node:module')?.createRequire;
  if (!createRequire) return null;
  try {
    return trustedSodium(createRequire(import.meta.url)('sodium-native'));
  } catch {
    return null;
  }
}
