// libsodium, where it is installed: Ed25519 verification, twice as fast as OpenSSL's, if it follows the rule of ed25519.ts; and point arithmetic.
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

/** Arithmetic with encoded points (32 bytes) and scalars (32 bytes, least significant first). Each function throws where libsodium refuses: the bytes are no point, or the point is of small order. */
export interface SodiumPoints {
  add(a: Uint8Array, b: Uint8Array): Uint8Array;
  subtract(a: Uint8Array, b: Uint8Array): Uint8Array;
  multiply(number: Uint8Array, point: Uint8Array): Uint8Array;
  multiplyBase(number: Uint8Array): Uint8Array;
}

/** The signature of sodium-native's functions, which write the result into their first argument. */
type Into = (result: Uint8Array, ...of: Uint8Array[]) => void;

/** The native library's point arithmetic; null where there is no native library. */
export function loadSodiumPoints(): SodiumPoints | null {
  const sodium = native() as Record<string, Into | undefined> | null;
  const by = (name: string) => {
    const into = sodium?.[name];
    if (typeof into !== 'function') return null;
    return (...of: Uint8Array[]): Uint8Array => {
      const result = new Uint8Array(32);
      into(result, ...of);
      return result;
    };
  };
  const add = by('crypto_core_ed25519_add');
  const subtract = by('crypto_core_ed25519_sub');
  const multiply = by('crypto_scalarmult_ed25519_noclamp');
  const multiplyBase = by('crypto_scalarmult_ed25519_base_noclamp');
  return add && subtract && multiply && multiplyBase ? { add, subtract, multiply, multiplyBase } : null;
}

/** The native library's verifier of signatures; null where there is none, or where it does not follow the rule. */
export const loadSodium = (): SodiumVerify | null => trustedSodium(native());

/** sodium-native; null in a browser, on a platform without a binary, and where the optional package is not installed. */
function native(): unknown {
  // Through createRequire: a static import would put it into the page, and this function cannot wait for a dynamic one.
  const createRequire = globalThis.process?.getBuiltinModule?.('node:module')?.createRequire;
  try {
    return createRequire ? createRequire(import.meta.url)('sodium-native') : null;
  } catch {
    return null;
  }
}
