// The errors of text that somebody wants to train on, and of the shards made of it.
import { CodedError } from '../errors.ts';

export type DataErrorCode =
  | 'missing-file'
  /** Neither a file nor a folder, or a file that cannot be opened. */
  | 'unreadable-file'
  /** One record does not have its format; the message names the file and the line or row. */
  | 'bad-record'
  /** A record, a file part or a dataset beyond its limit. */
  | 'too-large'
  /** The path exists, but contains no text to learn from, or too little. */
  | 'no-text'
  /** A manifest or a shard does not have its format. */
  | 'corrupt-data'
  | 'bad-option';

/** The error of the corpus readers, the dataset builder and the assignment of data. */
export class DataError extends CodedError<DataErrorCode> {}
