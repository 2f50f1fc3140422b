// The typed errors of training/: one code for each reason for which an update, a bundle or a training call is refused.
import { CodedError } from '../errors.ts';

export type TrainingErrorCode =
  /** The bytes end before what they announce is complete. */
  | 'truncated'
  /** Bytes are left over behind what was announced. */
  | 'trailing-bytes'
  /** The bytes do not begin with the mark of their format. */
  | 'bad-magic'
  /** The format's version is not one that this build reads. */
  | 'unknown-version'
  /** The bytes decode, but are not the one encoding that their content has. */
  | 'not-canonical'
  /** Larger than the limit that follows from the model and the options. */
  | 'too-large'
  /** A kept value lies outside its weight, or positions are not in ascending order. */
  | 'bad-index'
  /** A code outside the look-up table. */
  | 'bad-code'
  /** The number of kept values is not the one that the options demand. */
  | 'wrong-count'
  /** NaN or an infinity where a finite number is needed. */
  | 'not-finite'
  /** A tensor is missing, unknown, or of the wrong length. */
  | 'wrong-shape'
  /** A weight in the merge is not a positive integer. */
  | 'bad-weight'
  /** Options that contradict each other or lie outside their range. */
  | 'bad-option'
  /** The list is not in canonical order, or holds something twice. */
  | 'wrong-order';

/** Every error that training/ raises on purpose. */
export class TrainingError extends CodedError<TrainingErrorCode> {}
