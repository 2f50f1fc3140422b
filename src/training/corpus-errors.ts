// What can be wrong with text that somebody wants to train on, and with the shards made of it.
import { CodedError } from '../errors.ts';

export type DataErrorCode =
  | 'missing-file'
  /** Neither a file nor a folder, or a file that cannot be opened. */
  | 'unreadable-file'
  /** One record that is not what its format says; the message names the file and the line or row. */
  | 'bad-record'
  /** A record, a file part or a dataset beyond its limit. */
  | 'too-large'
  /** The path is there, but holds no text to learn from, or too little. */
  | 'no-text'
  /** A manifest or a shard that is not what its format says. */
  | 'corrupt-data'
  | 'bad-option';

/** Raised by the corpus readers, the dataset builder and the assignment of data. */
export class DataError extends CodedError<DataErrorCode> {}
