// What stops a person who owns a run, devices or shares.
import { CodedError } from '../errors.ts';

export type OwnerErrorCode =
  /** Only the run's owner can do this. */
  | 'not-the-owner'
  /** The holder has no such device here, or several and none was named. */
  | 'no-such-device'
  /** All free shares were to be locked, and there are none. */
  | 'nothing-to-move'
  /** A recheck does not show that a decision was wrong. */
  | 'nothing-to-contest';

export class OwnerError extends CodedError<OwnerErrorCode> {}
