// The decision about a new connection: pure, from its hello and what the hub knows. conversation.ts acts on it.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { RunState } from '../core/state.ts';
import { ProtocolError } from '../protocol/errors.ts';
import type { FromPeer } from '../protocol/from-peer.ts';
import { verifySignature } from '../protocol/identity.ts';
import { helloChallenge, otherVersion, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { HubError } from './errors.ts';

export type Hello = Extract<FromPeer, { type: 'hello' }>;

/** A connection with a valid hello: an observer, or a key that takes part in a run and has signed for it. */
export type Guest =
  | { readonly role: 'observer'; readonly follows: boolean }
  | {
      readonly role: PeerRole;
      readonly peer: string;
      readonly run: string;
      readonly yields: boolean;
      /** A worker of whose submission a validator is told in any case. */
      readonly watches: string | null;
    };
export type Participant = Exclude<Guest, { role: 'observer' }>;

/**
 * Checks a hello. Throws ProtocolError `unknown-version`, `malformed`, `bad-signature`.
 * @param to the hub, the nonce that it gave this connection, and whether the connection has said hello before
 */
export function guestOf(
  hello: Hello,
  to: { readonly hub: string; readonly nonce: Uint8Array; readonly said_before: boolean },
): Guest {
  if (hello.protocol !== PROTOCOL_VERSION) {
    throw new ProtocolError('unknown-version', otherVersion({ hub: PROTOCOL_VERSION, peer: hello.protocol }));
  }
  if (to.said_before) throw new ProtocolError('malformed', 'hello: a connection says hello once');
  if (hello.role === 'observer') return { role: 'observer', follows: hello.changes === true };
  const { role, peer, signature, run } = hello;
  if (!peer || !signature || !run) throw new ProtocolError('malformed', 'hello: expected peer, signature and run');
  if (!verifySignature(peer, helloChallenge(to.hub, to.nonce), signature)) {
    throw new ProtocolError('bad-signature', `hello: the signature is not ${peer}'s over this hub's nonce`);
  }
  return { role, peer, run, yields: hello.yields === true, watches: hello.watches ?? null };
}

/** What happens with a peer that wants to take part. */
export type Entry =
  | { readonly action: 'try-later'; readonly reason: string }
  | { readonly action: 'refuse'; readonly error: HubError }
  | { readonly action: 'enter'; readonly run: RunState };

export interface EntryKnown {
  /** Why no peer is accepted at present; null where they are. */
  readonly suspended: string | null;
  readonly run: RunState | undefined;
  /** Whether a connection of the same key is open in the same run. */
  readonly is_here: boolean;
}

/** To a connection that gives way to a newer one of its key. */
export const keyInUse = (peer: string): HubError =>
  new HubError('key-in-use', `another device has come with the key of ${peer}`);

/**
 * A key has one connection per run. Usually the newer one is the device that came back, and the older one is dead. If the
 * older one does hear that it is replaced, two devices have the same key, and the older one gives way from then on.
 */
export function planEntry(guest: Participant, { suspended, run, is_here }: EntryKnown): Entry {
  if (suspended !== null) return { action: 'try-later', reason: suspended };
  if (!run) {
    const error = new HubError('refused', `no run ${guest.run} on this hub`, { refusal: 'unknown-run' });
    return { action: 'refuse', error };
  }
  if (guest.yields && is_here) {
    const error = new HubError('key-in-use', `another device takes part with the key of ${guest.peer}`);
    return { action: 'refuse', error };
  }
  return { action: 'enter', run };
}
