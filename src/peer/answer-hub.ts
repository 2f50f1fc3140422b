// The decision about each message of the hub: made here from what is known; connection.ts acts on it.
import type { FromHub, Receipts, WorkPiece } from '../protocol/from-hub.ts';
import type { RunView, Welcome } from '../protocol/messages.ts';
import { otherVersion, PROTOCOL_VERSION } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import type { ToRelayingPeer } from '../protocol/relay-messages.ts';
import type { ToServingPeer } from '../protocol/serving-messages.ts';

/** What a peer knows when a message comes. */
export interface Known {
  /** The hub that it connects to, and the run that it takes part in. */
  readonly hub: string;
  readonly run: string;
  /** The hub has welcomed it on this connection. */
  readonly greeted: boolean;
}

export type HubAction =
  | { readonly do: 'prove-key'; readonly nonce: Uint8Array }
  | { readonly do: 'go-on'; readonly welcome: Welcome }
  | { readonly do: 'show-run'; readonly view: RunView }
  | { readonly do: 'take-work'; readonly piece: WorkPiece }
  | { readonly do: 'check-receipt'; readonly event: string; readonly receipt: unknown }
  | { readonly do: 'check-receipts'; readonly receipts: Receipts }
  | { readonly do: 'send-later'; readonly event: string }
  | { readonly do: 'reject'; readonly event: string; readonly error: PeerError }
  | { readonly do: 'serve'; readonly message: ToServingPeer }
  | { readonly do: 'relay'; readonly message: ToRelayingPeer }
  | { readonly do: 'give-way' }
  | { readonly do: 'end'; readonly error: PeerError };

/** @returns what to do about a message; null for nothing, or for a message that the session handles */
export function planAnswer(message: FromHub, { hub, run, greeted }: Known): HubAction | null {
  switch (message.type) {
    case 'challenge':
      if (message.protocol !== PROTOCOL_VERSION) return { do: 'end', error: otherProtocol(message.protocol) };
      // A signature for another hub would let this one log in there under this peer's name.
      if (message.hub !== hub) return { do: 'end', error: otherHub(hub, message.hub) };
      return { do: 'prove-key', nonce: message.nonce };
    case 'welcome':
      return { do: 'go-on', welcome: message };
    case 'run':
      return message.view.run === run ? { do: 'show-run', view: message.view } : null;
    case 'work':
      return { do: 'take-work', piece: message };
    case 'accepted':
      return { do: 'check-receipt', event: message.event, receipt: message.receipt };
    case 'receipts':
      return { do: 'check-receipts', receipts: message };
    case 'refused':
      return planRefusal(message, greeted);
    case 'answer':
    case 'judge':
    case 'embed':
    case 'answer-stop':
    case 'offer-refused':
      return greeted ? { do: 'serve', message } : null;
    case 'relay':
    case 'relay-taken':
    case 'relay-lost':
      return greeted ? { do: 'relay', message } : null;
    // Without a default, so that a message that is new does not compile before something is done about it.
    case 'pong':
    case 'status':
    case 'changes':
      return null;
  }
}

/** What a hub says that does not take an event now: it is sent again later, to this process or the next, for nobody has refused it. */
const NO_ANSWERS: readonly string[] = [
  ...['too-fast', 'no-leader', 'overloaded', 'log-failed', 'journal-unreachable'],
  ...['fenced', 'write-failed', 'store-busy', 'closing', 'disk-full'],
];

function planRefusal(
  { event, code, message }: Extract<FromHub, { type: 'refused' }>,
  greeted: boolean,
): HubAction | null {
  const error = new PeerError('refused', message, { refusal: code });
  // "too fast" about the connection itself closes it; the peer then reconnects as usual.
  if (code === 'too-fast' && event === null) return null;
  if (event !== null && NO_ANSWERS.includes(code)) return { do: 'send-later', event };
  if (event !== null) return { do: 'reject', event, error };
  if (code === 'key-in-use') return { do: 'give-way' };
  if (code === 'unknown-version') return { do: 'end', error: new PeerError('other-protocol', message) };
  if (code === 'unknown-run') return { do: 'end', error: new PeerError('no-such-run', message) };
  if (code === 'not-understood') return { do: 'end', error };
  return greeted || code === 'no-hello' ? null : { do: 'end', error };
}

function otherProtocol(theirs: number): PeerError {
  const versions = { hub: theirs, peer: PROTOCOL_VERSION };
  return new PeerError('other-protocol', otherVersion(versions), versions);
}

function otherHub(expected: string, got: string): PeerError {
  return new PeerError('other-hub', `expected hub ${expected}, the one there now is ${got}`);
}
