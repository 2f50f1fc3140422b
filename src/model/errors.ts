// The errors of a model, its files and its tokenizer.
import { CodedError } from '../errors.ts';

export type ModelErrorCode =
  /** The bytes do not have their format: truncated, overlapping, not UTF-8, not JSON. */
  | 'corrupt-file'
  /** A well-formed file that needs something Potluck does not compute (biases, rope scaling, another architecture). */
  | 'unsupported'
  /** More than the limits that protect a device allow. */
  | 'too-large'
  | 'missing-file'
  /** The weights are not exactly those that the configuration demands, or are not finite. */
  | 'wrong-weights'
  | 'bad-config'
  | 'bad-tokenizer'
  /** A manifest is malformed: a model's, or a folder's signed one, including a folder whose files cannot be listed. */
  | 'bad-manifest'
  /** A model's parts do not fit its tensors: too many, too few, or of another length. */
  | 'wrong-parts'
  | 'bad-signature'
  /** Files differ from the signed manifest; `details` names them. */
  | 'changed-files'
  /** What came from a neighbouring stage has another length, or values that are not finite; or what was computed for it is not. */
  | 'bad-activations'
  /** A token, position or option outside its range. */
  | 'bad-input';

/** The error of `model/`. */
export class ModelError extends CodedError<ModelErrorCode> {}
