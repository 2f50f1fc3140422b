// SHA-256 as every room uses it: node:crypto where there is one, @noble/hashes elsewhere; the same bytes either way.
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto');

/** The SHA-256 digest of the concatenation of some byte strings (32 bytes). */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (nodeCrypto) {
    const hash = nodeCrypto.createHash('sha256');
    for (const part of parts) hash.update(part);
    return new Uint8Array(hash.digest());
  }
  const hash = nobleSha256.create();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** SHA-256 as 64 lower-case hexadecimal digits: the name of a blob. */
export function sha256Hex(...parts: readonly Uint8Array[]): string {
  return bytesToHex(sha256(...parts));
}
