// The errors of training/: one code for each reason to refuse an update, a bundle or a training call.
import { CodedError } from '../errors.ts';

export type TrainingErrorCode =
  /** The bytes end before the announced content is complete. */
  | 'truncated'
  /** Bytes follow after the announced content. */
  | 'trailing-bytes'
  /** The bytes do not begin with the signature of their format. */
  | 'bad-magic'
  /** This build does not read this version of the format. */
  | 'unknown-version'
  /** The bytes decode, but are not the canonical encoding of their content. */
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
  /** The list is not in canonical order, or contains something twice. */
  | 'wrong-order';

/** The error of training/. */
export class TrainingError extends CodedError<TrainingErrorCode> {}
