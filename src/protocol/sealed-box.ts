// A message that only the holder of one key can read, from anybody: libsodium's sealed box (crypto_box_seal), to the X25519 form of a peer id.
import { hsalsa, xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { concatBytes, u8, u32 } from '@noble/ciphers/utils.js';
import { blake2b } from '@noble/hashes/blake2.js';
import { ed25519Curve, x25519Curve } from '#curve25519';
import { ProtocolError } from './errors.ts';
import { type OpeningIdentity, publicKeyOf } from './identity.ts';

const POINT_BYTES = 32;
const NONCE_BYTES = 24;
/** What a box is longer than its message: the point and the tag. */
export const BOX_BYTES = POINT_BYTES + 16;
/** "expand 32-byte k", the constant of Salsa20 (its specification, section 9). */
const SIGMA = new Uint32Array([0x61707865, 0x3320646e, 0x79622d32, 0x6b206574]);

/** Seals a message to a peer id, with a key of its own for each message. Throws ProtocolError `bad-id` where the id is no point of the curve. */
export function sealTo(id: string, message: Uint8Array): Uint8Array {
  const to = pointOf(id);
  const { secretKey, publicKey } = x25519Curve().keygen();
  const key = keyFrom(x25519Curve().getSharedSecret(secretKey, to));
  return concatBytes(publicKey, xsalsa20poly1305(key, nonceOf(publicKey, to)).encrypt(message));
}

/** Opens a box that was sealed to this identity. Throws ProtocolError `not-sealed-to-this-key`, also for bytes that are no box. */
export function openSealed(identity: OpeningIdentity, box: Uint8Array): Uint8Array {
  const point = box.subarray(0, POINT_BYTES);
  try {
    const key = keyFrom(identity.agree(point));
    return xsalsa20poly1305(key, nonceOf(point, pointOf(identity.id))).decrypt(box.subarray(POINT_BYTES));
  } catch {
    throw new ProtocolError(
      'not-sealed-to-this-key',
      `expected a message sealed to ${identity.id.slice(0, 12)}, got ${box.length} bytes that its key does not open`,
    );
  }
}

function pointOf(id: string): Uint8Array {
  try {
    return ed25519Curve().utils.toMontgomery(publicKeyOf(id));
  } catch {
    throw new ProtocolError(
      'bad-id',
      `expected the id of a key, got ${id.slice(0, 80)}, which is no point of the curve`,
    );
  }
}

const nonceOf = (sender: Uint8Array, receiver: Uint8Array): Uint8Array =>
  blake2b.create({ dkLen: NONCE_BYTES }).update(sender).update(receiver).digest();

/** HSalsa20 over a block of zeros: crypto_box_beforenm. On words in the machine's order: the library itself refuses machines that are not little-endian. */
function keyFrom(shared: Uint8Array): Uint8Array {
  const key = new Uint32Array(8);
  hsalsa(SIGMA, u32(new Uint8Array(shared)), new Uint32Array(4), key); // a copy, which lies where words may
  return u8(key);
}
