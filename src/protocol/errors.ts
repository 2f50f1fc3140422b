// What can be wrong with an identity, a signed event or a message: one code for each reason a peer may be refused.
import { CodedError } from '../errors.ts';

export type ProtocolErrorCode =
  /** A peer id is not 64 lower-case hexadecimal digits. */
  | 'bad-id'
  /** A secret key is not a 32-byte seed. */
  | 'bad-secret'
  /** The identity file does not contain a valid identity. */
  | 'identity-file-corrupt'
  /** Other users can read the identity file. */
  | 'identity-file-permissions'
  /** The identity file could not be read or written. */
  | 'identity-file-unreadable'
  /** The identity file is encrypted with a passphrase, and there is no terminal to ask for it. */
  | 'identity-locked'
  /** The passphrase does not decrypt the identity file. */
  | 'wrong-passphrase'
  /** An event or message is larger than the limit. */
  | 'too-large'
  /** The bytes do not have the form that their format demands. */
  | 'malformed'
  /** The bytes decode, but are not the canonical encoding of the value. */
  | 'not-canonical'
  /** This build does not know the version of the envelope or message. */
  | 'unknown-version'
  /** A body holds a value that signed events must not hold (a fraction, a link, undefined, ...). */
  | 'forbidden-value'
  /** The signature is not the author's. */
  | 'bad-signature'
  /** A frame from another device is not the next one of its session. */
  | 'bad-seal'
  /** A sealed box was sealed to another key, or was changed. */
  | 'not-sealed-to-this-key'
  /** A letter between a device and its owner comes from, or is for, somebody else. */
  | 'wrong-sender'
  /** A letter is no newer than one that came before. */
  | 'not-newer'
  /** A letter has expired. */
  | 'expired';

/** The error of src/protocol; `code` names the rule that was broken. */
export class ProtocolError extends CodedError<ProtocolErrorCode> {}

/** What `read` returns; null where it throws ProtocolError. */
export function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}
