// SHA-256 for every room, and SHA-512: node:crypto in Node, @noble/hashes elsewhere, with the same result.
import { sha256 as nobleSha256, sha512 as nobleSha512 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';

const nodeCrypto = globalThis.process?.getBuiltinModule?.('node:crypto');

/** The SHA-256 digest of the concatenation of some byte strings (32 bytes). */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) {
    const digest = new Uint8Array(32);
    sha256Into(digest, 0, parts[0]);
    return digest;
  }
  const hash = nodeCrypto ? nodeCrypto.createHash('sha256') : nobleSha256.create();
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** Writes the SHA-256 digest of some bytes from a place on: where many are kept, an array of its own for each costs more than the hash. */
export function sha256Into(target: Uint8Array, at: number, bytes: Uint8Array): void {
  if (!nodeCrypto) {
    target.set(nobleSha256(bytes), at);
    return;
  }
  // One call, without a Buffer from the pool, takes a third of the time, which counts for a Merkle tree of many small hashes.
  const text = nodeCrypto.hash('sha256', bytes, 'binary');
  for (let i = 0; i < 32; i++) target[at + i] = text.charCodeAt(i);
}

/** The SHA-512 digest of the concatenation of some byte strings (64 bytes). */
export function sha512(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = nodeCrypto ? nodeCrypto.createHash('sha512') : nobleSha512.create();
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/**
 * The same digest as `sha256` for megabytes. A browser with WebCrypto (secure contexts only) computes it off this thread and several times as fast.
 * The bytes must not change meanwhile.
 */
export async function sha256Beside(bytes: Uint8Array): Promise<Uint8Array> {
  const subtle = nodeCrypto ? undefined : globalThis.crypto?.subtle;
  if (!subtle) return sha256(bytes);
  return new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

/** SHA-256 as 64 lower-case hexadecimal digits; a blob is named by it. */
export function sha256Hex(...parts: readonly Uint8Array[]): string {
  if (nodeCrypto && parts.length === 1) return nodeCrypto.hash('sha256', parts[0], 'hex');
  return bytesToHex(sha256(...parts));
}

/** The form of a SHA-256 and of an id: 32 bytes in hexadecimal. */
export const HASH_FORM = /^[0-9a-f]{64}$/;

const isDigit = Uint8Array.from({ length: 128 }, (_, code) => (/[0-9a-f]/.test(String.fromCharCode(code)) ? 1 : 0));

/** Whether a text has HASH_FORM, in a third of the time: every event of a log holds five or six of them. */
export function isHash(text: string): boolean {
  if (text.length !== 64) return false;
  for (let i = 0; i < 64; i++) if (isDigit[text.charCodeAt(i)] !== 1) return false;
  return true;
}

const encoder = new TextEncoder();
/** Text as the UTF-8 bytes that are hashed or signed. */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => encoder.encode(text);
