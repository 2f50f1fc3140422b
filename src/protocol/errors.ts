// What can be wrong with an identity, a signed event or a message: one code for each reason a peer may be refused.
import { CodedError } from '../errors.ts';

export type ProtocolErrorCode =
  /** A peer id is not 64 lower-case hexadecimal digits. */
  | 'bad-id'
  /** A secret key is not a 32-byte seed. */
  | 'bad-secret'
  /** The identity file cannot be read as what it should hold. */
  | 'identity-file-corrupt'
  /** The identity file can be read by others than its owner. */
  | 'identity-file-permissions'
  /** The identity file could not be read or written. */
  | 'identity-file-unreadable'
  /** The identity file is under a passphrase, and nobody is there to ask for it. */
  | 'identity-locked'
  /** The passphrase is not the one of the identity file. */
  | 'wrong-passphrase'
  /** An event or message is larger than the limit. */
  | 'too-large'
  /** Bytes that are not what their format demands. */
  | 'malformed'
  /** The bytes decode, but are not the one encoding that the value has. */
  | 'not-canonical'
  /** The envelope or message is of a version that this build does not speak. */
  | 'unknown-version'
  /** A body holds a value that signed events may not hold (a fraction, a link, undefined, ...). */
  | 'forbidden-value'
  /** The signature is not the author's. */
  | 'bad-signature';

/** Raised by src/protocol; `code` says which rule was broken. */
export class ProtocolError extends CodedError<ProtocolErrorCode> {}
