// The typed errors of bench/.
import { CodedError } from '../errors.ts';

export type BenchErrorCode =
  | 'usage' // an unknown name or option: one line, exit 2
  | 'wrong-result' // what is measured does not compute what it should
  | 'engine-failed' // an engine under measurement ended or answered nonsense
  | 'bound-broken'; // a measurement breaks a promised bound

export class BenchError extends CodedError<BenchErrorCode> {}
