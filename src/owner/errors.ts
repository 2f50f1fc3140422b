// The errors of a person who owns a run, devices or shares.
import { CodedError } from '../errors.ts';

export type OwnerErrorCode =
  /** Only the run's owner can do this. */
  | 'not-the-owner'
  /** The holder has no such device here, or has several and named none. */
  | 'no-such-device'
  /** All free shares were to be locked, but there are none. */
  | 'nothing-to-move'
  /** A run was to be listed, and no registry was named or is followed by its hub. */
  | 'no-registry'
  /** The hub's address is of this machine or its network, and the registry is not. */
  | 'not-reachable'
  /** The recheck does not show that the decision was wrong. */
  | 'nothing-to-contest';

export class OwnerError extends CodedError<OwnerErrorCode> {}
