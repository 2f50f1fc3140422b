// Who has come over a connection, and what becomes of them: pure, from their hello and what the hub knows. conversation.ts acts on it.
import type { PeerRole } from '../core/events/peer-joined.ts';
import type { RunState } from '../core/state.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { verifySignature } from '../protocol/identity.ts';
import { type FromPeer, helloChallenge, otherVersion, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { HubError } from './errors.ts';

export type Hello = Extract<FromPeer, { type: 'hello' }>;

/** Somebody whose hello is in order: an observer, or a key that takes part in a run and has signed for it. */
export type Guest =
  | { readonly role: 'observer'; readonly follows: boolean }
  | { readonly role: PeerRole; readonly peer: string; readonly run: string; readonly yields: boolean };
export type Participant = Exclude<Guest, { role: 'observer' }>;

/**
 * Reads a hello. Throws ProtocolError `unknown-version`, `malformed`, `bad-signature`.
 * @param to the hub, the nonce that it gave this connection, and whether that has said hello before
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
  return { role, peer, run, yields: hello.yields === true };
}

/** What becomes of somebody who wants to take part. */
export type Entry =
  | { readonly action: 'try-later'; readonly reason: string }
  | { readonly action: 'refuse'; readonly error: HubError }
  | { readonly action: 'enter'; readonly run: RunState };

export interface EntryKnown {
  /** Why no peer is taken at present; null: they are. */
  readonly suspended: string | null;
  readonly run: RunState | undefined;
  /** Whether a connection of the same key is open in the same run. */
  readonly is_here: boolean;
}

/**
 * A key has one connection a run. The newer one is the device that came back, and the older one its ghost, which hears nothing; if the ghost
 * hears that it is replaced, there are two devices with one key, and it gives way: it yields from then on.
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
