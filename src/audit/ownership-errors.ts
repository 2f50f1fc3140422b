// The errors of keys, certificates, exported folders, settlements and checkpoints, as their owner or verifier meets them.
import { CodedError } from '../errors.ts';

export type OwnershipErrorCode =
  /** Another key is there already, and the caller did not say that it may be replaced. */
  | 'key-exists'
  /** The words are not the phrase of a key. */
  | 'bad-phrase'
  /** Not an EVM address, or one with a wrong checksum. */
  | 'bad-address'
  /** The device earns for another owner. */
  | 'bound-to-another'
  /** This device's clock is so far behind that whatever its owner signs has already expired. */
  | 'wrong-clock'
  /** The log says nothing about this holder in this run. */
  | 'not-a-holder'
  /** The hub has not stated the shares of this run yet; it does so for every model that is stored whole. */
  | 'not-stated'
  /** No owner with free shares has named an address. */
  | 'nothing-to-settle'
  /** The log has no settlement of that number. */
  | 'not-settled'
  /** No such run in the log. */
  | 'unknown-run'
  /** The file does not have its form, or is of an unknown version. */
  | 'malformed'
  /** A field contradicts the proofs. */
  | 'wrong-claim'
  /** A proof does not show that an event or a row is at the position that the file states. */
  | 'bad-proof'
  /** A proof does not contain its entry, and the caller has not named the file that does. */
  | 'no-entry'
  /** A signature was not made with the expected key. */
  | 'bad-signature'
  /** A file of an exported folder was changed, is missing, or was added. */
  | 'changed-files'
  /** A hub has shortened or forked its log. */
  | 'log-rewritten'
  /** What a hub serves as its log does not have the form of one. */
  | 'bad-log'
  /** Something is larger than its reader accepts. */
  | 'too-large';

/** The error of the commands about ownership; `code` says what is wrong. */
export class OwnershipError extends CodedError<OwnershipErrorCode> {}
