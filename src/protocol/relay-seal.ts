// Seals what devices tell each other through a hub: each end signs a fresh X25519 key (RFC 7748), frames are ChaCha20-Poly1305 (RFC 8439).
//
// `hello` names both ends and the first key, `reply` both keys: so neither can be used for other ends or again, and whoever learns a
// device's key later cannot open what was said before. A session has one direction; its frames have an order, and none can be left out.
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { concatBytes } from '@noble/hashes/utils.js';
import { x25519Curve } from '#curve25519';
import { ProtocolError } from './errors.ts';
import { utf8 } from './hash.ts';
import { type Identity, publicKeyOf, verifySignature } from './identity.ts';

const POINT_BYTES = 32;
const SIGNATURE_BYTES = 64;
const LABEL = utf8('potluck-relay-v1\0');
/** What a frame is longer than its content. */
export const SEAL_BYTES = 16;
export const HELLO_BYTES = POINT_BYTES + SIGNATURE_BYTES;

/** Who talks to whom, in which run; the direction counts. */
export interface Ends {
  readonly run: string;
  readonly from: string;
  readonly to: string;
}

/** Seals frames in order, or opens them in the order in which they were sealed. */
export type Sealing = (bytes: Uint8Array) => Uint8Array;

/** A session that waits for the other end's reply. */
export interface Opening {
  readonly hello: Uint8Array;
  /** Throws ProtocolError `bad-signature` for a reply that the other end has not signed to this hello. */
  accept(reply: Uint8Array): Sealing;
}

/** By the end that wants to send. */
export async function openRelaySession(identity: Identity, ends: Ends): Promise<Opening> {
  const { secretKey, publicKey } = x25519Curve().keygen();
  const hello = concatBytes(publicKey, await identity.sign(signedWords(ends, publicKey)));
  return {
    hello,
    accept(reply) {
      const theirs = pointIn(reply, ends.to, (point) => signedWords(ends, publicKey, point));
      return sealer(keyOf(secretKey, theirs, signedWords(ends, publicKey, theirs)));
    },
  };
}

/** By the end that is sent to. Throws ProtocolError `bad-signature` for a hello that the other end has not signed for these ends. */
export async function answerRelaySession(
  identity: Identity,
  ends: Ends,
  hello: Uint8Array,
): Promise<{ readonly reply: Uint8Array; readonly open: Sealing }> {
  const theirs = pointIn(hello, ends.from, (point) => signedWords(ends, point));
  const { secretKey, publicKey } = x25519Curve().keygen();
  const words = signedWords(ends, theirs, publicKey);
  const reply = concatBytes(publicKey, await identity.sign(words));
  return { reply, open: opener(keyOf(secretKey, theirs, words)) };
}

const signedWords = ({ run, from, to }: Ends, ...points: readonly Uint8Array[]): Uint8Array =>
  concatBytes(LABEL, publicKeyOf(run), publicKeyOf(from), publicKeyOf(to), ...points);

function pointIn(bytes: Uint8Array, signer: string, words: (point: Uint8Array) => Uint8Array): Uint8Array {
  const point = bytes.slice(0, POINT_BYTES);
  if (bytes.length === HELLO_BYTES && verifySignature(signer, words(point), bytes.slice(POINT_BYTES))) return point;
  const what = `expected a key of ${POINT_BYTES} bytes signed by ${signer.slice(0, 12)}, got ${bytes.length} bytes`;
  throw new ProtocolError('bad-signature', what);
}

/** Throws ProtocolError `bad-signature` for a point of small order, with which anybody could compute the key. */
function keyOf(secret: Uint8Array, point: Uint8Array, words: Uint8Array): Uint8Array {
  try {
    return hkdf(sha256, x25519Curve().getSharedSecret(secret, point), words, LABEL, 32);
  } catch {
    throw new ProtocolError('bad-signature', 'expected a key on the curve, got a point of small order');
  }
}

/** The nonce is the number of the frame. */
function counter(): () => Uint8Array {
  let frames = 0n;
  return () => {
    const nonce = new Uint8Array(12);
    new DataView(nonce.buffer).setBigUint64(4, frames++, true);
    return nonce;
  };
}

function sealer(key: Uint8Array): Sealing {
  const next = counter();
  return (content) => chacha20poly1305(key, next()).encrypt(content);
}

function opener(key: Uint8Array): Sealing {
  const next = counter();
  return (frame) => {
    try {
      return chacha20poly1305(key, next()).decrypt(frame);
    } catch {
      throw new ProtocolError('bad-seal', `expected the next frame of this session, got ${frame.length} other bytes`);
    }
  };
}
