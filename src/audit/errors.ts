// The errors of looking something up in a log, and of judging a submission again.
import { CodedError } from '../errors.ts';

export type LookupErrorCode =
  /** No id in the log begins like that, or several do. */
  | 'no-such-run'
  | 'no-such-submission'
  /** A file with proposed rules does not contain rules. */
  | 'bad-rules'
  /** The worker's rounds since it last started afresh are more than a recheck repeats. */
  | 'chain-too-long'
  /** What devices of the run said to each other is a part of the work, and in no log; or the work goes on from work in another hub's log. */
  | 'not-in-the-log';

export class LookupError extends CodedError<LookupErrorCode> {}
