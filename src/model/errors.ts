// What can be wrong with a model, its files or its tokenizer.
import { CodedError } from '../errors.ts';

export type ModelErrorCode =
  /** The bytes are not what their format says: truncated, overlapping, not UTF-8, not JSON. */
  | 'corrupt-file'
  /** A well-formed file that asks for something Potluck does not compute (biases, rope scaling, another architecture). */
  | 'unsupported'
  /** More than the limits that protect a device. */
  | 'too-large'
  | 'missing-file'
  /** The weights are not exactly those that the configuration names, or not finite. */
  | 'wrong-weights'
  | 'bad-config'
  | 'bad-tokenizer'
  /** A manifest is not in its form: a model's, or a folder's signed one, whose files cannot be listed. */
  | 'bad-manifest'
  /** A model's parts are not those that its tensors fill: too many, too few, of another length. */
  | 'wrong-parts'
  | 'bad-signature'
  /** Files differ from the signed manifest; `details` names them. */
  | 'changed-files'
  /** A token, position or option outside its range. */
  | 'bad-input';

/** Raised by everything in `model/`. */
export class ModelError extends CodedError<ModelErrorCode> {}
