// What stops whoever looks something up in a log, or judges it again.
import { CodedError } from '../errors.ts';

export type LookupErrorCode =
  /** Nothing, or more than one thing, in the log has an id that begins like that. */
  | 'no-such-run'
  | 'no-such-submission'
  /** A file that proposes rules does not hold rules. */
  | 'bad-rules'
  /** A worker's rounds since it began afresh are more than anybody repeats. */
  | 'chain-too-long';

export class LookupError extends CodedError<LookupErrorCode> {}
