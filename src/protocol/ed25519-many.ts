// Verifies many Ed25519 signatures at once: with node:crypto in Node, with WebCrypto in browsers. WebCrypto uses all cores and is many times
// as fast as plain TypeScript, but it is used only where it follows the rule of ed25519.ts.
//
// The Web Cryptography API leaves room for interpretation, as RFC 8032 does. So its "valid" counts only after it has refused a signature
// that is valid only with the cofactor. Its "invalid", which an honest log never causes, is checked again in plain TypeScript.
import { fastEd25519, isAdmissible, PUBLIC_KEY_BYTES, portableEd25519, SIGNATURE_BYTES } from './ed25519.ts';
import { ONLY_WITH_COFACTOR, type SignedBytes, VALID } from './ed25519-vectors.ts';

/** The answer of `verifyWithKey` for each signature. Never rejects. */
export type VerifyMany = (signed: readonly SignedBytes[]) => Promise<boolean[]>;

/** Imported keys are cached; with more peers than this, keys are imported again. */
const KEY_CACHE_LIMIT = 4096;

/** Verifies by WebCrypto, or in plain TypeScript where WebCrypto is missing or breaks the rule (a page over plain http has none). */
export function webVerifier(subtle: SubtleCrypto | undefined): VerifyMany {
  const keys = new Map<string, Promise<CryptoKey>>();
  const keyOf = (publicKey: Uint8Array): Promise<CryptoKey> => {
    const name = String.fromCharCode(...publicKey);
    let key = keys.get(name);
    if (!key) {
      key = subtle!.importKey('raw', publicKey as Uint8Array<ArrayBuffer>, 'Ed25519', false, ['verify']);
      if (keys.size >= KEY_CACHE_LIMIT) keys.delete(keys.keys().next().value!);
      keys.set(name, key);
    }
    return key;
  };
  const ask = async ({ publicKey, message, signature }: SignedBytes): Promise<boolean> => {
    const [bytes, signed] = [signature as Uint8Array<ArrayBuffer>, message as Uint8Array<ArrayBuffer>];
    return subtle!.verify('Ed25519', await keyOf(publicKey), bytes, signed);
  };
  const keepsTheRule = async (): Promise<boolean> => {
    if (!subtle) return false;
    try {
      return (await ask(VALID)) && !(await ask(ONLY_WITH_COFACTOR));
    } catch {
      return false;
    }
  };
  let trusted: Promise<boolean> | undefined;

  const verify = async (signed: SignedBytes, byBrowser: boolean): Promise<boolean> => {
    const { publicKey, message, signature } = signed;
    if (publicKey.length !== PUBLIC_KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
    if (!isAdmissible(publicKey, signature)) return false;
    if (byBrowser && (await ask(signed).catch(() => false))) return true;
    return portableEd25519.verify(publicKey, message, signature);
  };
  return async (signed) => {
    trusted ??= keepsTheRule();
    const byBrowser = await trusted;
    return Promise.all(signed.map((one) => verify(one, byBrowser)));
  };
}

/** The fastest implementation on this machine. */
export const verifyMany: VerifyMany =
  fastEd25519 === portableEd25519
    ? webVerifier(globalThis.crypto?.subtle)
    : async (signed) =>
        signed.map(
          ({ publicKey, message, signature }) =>
            publicKey.length === PUBLIC_KEY_BYTES &&
            signature.length === SIGNATURE_BYTES &&
            fastEd25519.verify(publicKey, message, signature),
        );
