// Two signatures that show whether a verifier follows the rule of ed25519.ts: one is valid, one is valid only with the cofactor.
import { hexToBytes } from '@noble/hashes/utils.js';

export interface SignedBytes {
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
}

/** RFC 8032, section 7.1, TEST 2: a platform without Ed25519 fails here. */
export const VALID: SignedBytes = {
  publicKey: hexToBytes('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'),
  message: Uint8Array.of(0x72),
  signature: hexToBytes(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ),
};

/** Valid only with the cofactor: its R is 987654321·B plus a point of order 8, over an empty message (ed25519-many.test.ts makes it). */
export const ONLY_WITH_COFACTOR: SignedBytes = {
  publicKey: hexToBytes('17ffad8068dc0de9935d36636f3ad1b5de6de3413b12388e453b05f2a4c1d3db'),
  message: new Uint8Array(),
  signature: hexToBytes(
    '6999d5cb5126005c325892f1c6eab824b310708befff12fbaf45dda050cb12f04b76e5f1e1b3225caaa9e1640b9b7ce5c0871c44b12f9862be7a981f27adc702',
  ),
};
