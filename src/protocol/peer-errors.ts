// The errors of whoever talks to a hub: the hub is unreachable, is another one than expected, or refuses.
import { CodedError } from '../errors.ts';

export type PeerErrorCode =
  /** Nothing answers at the hub's address. */
  | 'hub-unreachable'
  /** Something answers there, but it is not a Potluck hub. */
  | 'not-a-hub'
  /** Hub and peer speak different versions of the protocol. */
  | 'other-protocol'
  /** The hub at this address is another one than before. */
  | 'other-hub'
  /** The run has gone to a hub to which this device does not go by itself. */
  | 'elsewhere'
  /** The hub has no run, or several and the caller named none. */
  | 'no-such-run'
  /** A registry's log does not prove what the registry says of a run. */
  | 'bad-proof'
  /** The hub refused an event or an upload; `details.refusal` has its code. */
  | 'refused'
  /** A proxy or another program answered in the hub's place; `details.status` has the HTTP status. */
  | 'proxy-answered'
  /** Another device takes part with the same key. */
  | 'key-in-use'
  /** The hub's answer does not prove that the event is in its log. */
  | 'bad-receipt'
  /** A blob could not be fetched, or its bytes do not have its hash. */
  | 'bad-blob'
  /** The run's work does not fit into this device's memory. */
  | 'too-little-memory'
  /** A GPU was asked for by name, and there is none that computes right. */
  | 'no-gpu'
  /** Another device of the run has no connection to the hub, or lost it. */
  | 'peer-not-here'
  /** Another device takes no more at present. */
  | 'peer-busy'
  /** Another device did not answer, or what it said was not its own words: what was under way to it is lost. */
  | 'channel-broken'
  /** A message to another device is larger than one may be. */
  | 'too-large'
  /** The connection broke before an answer came. */
  | 'disconnected';

/** The details that decide what a peer does next. */
interface PeerErrorDetails {
  readonly refused: { readonly refusal: string };
  readonly 'proxy-answered': { readonly status: number };
}

export class PeerError extends CodedError<PeerErrorCode, PeerErrorDetails> {}
