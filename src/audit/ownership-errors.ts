// What can be wrong with keys, certificates, exported folders, settlements and checkpoints, seen from whoever owns or checks something.
import { CodedError } from '../errors.ts';

export type OwnershipErrorCode =
  /** Another key is there already, and nobody said that it may be replaced. */
  | 'key-exists'
  /** Words that are no phrase of a key. */
  | 'bad-phrase'
  /** No EVM address, or one whose checksum is wrong. */
  | 'bad-address'
  /** The device earns for another owner. */
  | 'bound-to-another'
  /** This device's clock is so far behind that whatever its owner signs for it has ended already. */
  | 'wrong-clock'
  /** The log says nothing about this holder in this run. */
  | 'not-a-holder'
  /** The hub has not yet stated the shares of this run: it does so for every model that is kept whole. */
  | 'not-stated'
  /** Nobody who holds free shares has named an address. */
  | 'nothing-to-settle'
  /** The log has no settlement of that number. */
  | 'not-settled'
  /** No such run in the log. */
  | 'unknown-run'
  /** The file is not in its form, or of an unknown version. */
  | 'malformed'
  /** A field says something else than the proofs. */
  | 'wrong-claim'
  /** A proof does not prove that an event or a row is where the file says. */
  | 'bad-proof'
  /** A proof does not bring along the entry that it is about, and nobody has named it. */
  | 'no-entry'
  /** A signature is not that of the key that it should be of. */
  | 'bad-signature'
  /** A file of an exported folder was changed, is missing, or was added. */
  | 'changed-files'
  /** A hub has shortened or forked its log. */
  | 'log-rewritten'
  /** What a hub serves as its log is not in its form. */
  | 'bad-log'
  /** More of something than whoever reads it takes. */
  | 'too-large';

/** Raised by the commands about ownership; `code` says what is wrong. */
export class OwnershipError extends CodedError<OwnershipErrorCode> {}
