// What stops whoever talks to a hub: the hub is away, is another one, or says no.
import { CodedError } from '../errors.ts';

export type PeerErrorCode =
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

/** Details that decide what a peer does next. */
interface PeerErrorDetails {
  readonly refused: { readonly refusal: string };
  readonly 'proxy-answered': { readonly status: number };
}

export class PeerError extends CodedError<PeerErrorCode, PeerErrorDetails> {}
