// What stops a peer.
import { CodedError } from '../errors.ts';

export type PeerErrorCode =
  /** Rules that a file proposes are none. */
  | 'bad-rules'
  /** Nothing answers at the hub's address. */
  | 'hub-unreachable'
  /** Something answers there, but no Potluck hub. */
  | 'not-a-hub'
  /** Hub and peer speak different versions of the protocol. */
  | 'other-protocol'
  /** Another hub than before answers at the address. */
  | 'other-hub'
  /** The hub has no run, or several and none was named. */
  | 'no-such-run'
  /** The holder has no such validator, or several and none was named. */
  | 'no-such-device'
  /** All of nothing was to be locked. */
  | 'nothing-to-move'
  /** A recheck does not show that a decision was wrong. */
  | 'nothing-to-contest'
  /** A worker's rounds since it began afresh are more than anybody repeats. */
  | 'chain-too-long'
  /** Only the run's owner can do this. */
  | 'not-the-owner'
  /** The hub refused an event or an upload; `details.refusal` has its code. */
  | 'refused'
  /** Something between answered in the hub's place; `details.status` says how. */
  | 'proxy-answered'
  /** Another device takes part with the same key. */
  | 'key-in-use'
  /** The hub answered, but not with a proof that the event is in its log. */
  | 'bad-receipt'
  /** A blob could not be had, or its bytes are not what its hash says. */
  | 'bad-blob'
  /** The work of the run does not fit into this device's memory. */
  | 'too-little-memory'
  /** The connection went away before an answer came. */
  | 'disconnected';

export class PeerError extends CodedError<PeerErrorCode> {}

/** Whether the system refused something: a full disk, a folder that may not be written. That is for the device's owner to mend. */
export function isSystemError(error: unknown): error is Error & { readonly code: unknown } {
  return error instanceof Error && 'syscall' in error && 'code' in error;
}
