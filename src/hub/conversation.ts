// The messages of a connection: a hello, then events, each answered with a receipt or a refusal, and status messages that are in no log.
import type { NetworkState, RunState } from '../core/state.ts';
import { assert, CodedError } from '../errors.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { decodeFromPeer, type FromPeer } from '../protocol/from-peer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { type FromRelayingPeer, isRelayed } from '../protocol/relay-messages.ts';
import { type FromServingPeer, isServing } from '../protocol/serving-from-peer.ts';
import type { FarServing } from './cluster/far-serving.ts';
import type { Said } from './cluster/talk.ts';
import type { Connection } from './connection.ts';
import type { TakeEnclosed } from './enclosed-blobs.ts';
import { HubError } from './errors.ts';
import { guestOf, type Hello, keyInUse, planEntry } from './hello.ts';
import type { Accepted, Intake } from './intake.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Relay } from './relay.ts';
import type { Roll } from './roll.ts';
import type { Samples } from './samples.ts';
import { takeTogether } from './together.ts';
import type { PeerTelemetry } from './views.ts';

/** What a conversation needs from the hub. */
export interface ConversationServices extends Pick<Intake, 'take' | 'prove'> {
  readonly id: string;
  readonly state: NetworkState;
  readonly telemetry: Map<string, PeerTelemetry>;
  submit(bytes: Uint8Array, address: string | null): Promise<Pick<Accepted, 'id' | 'receipt'>>;
  readonly takeEnclosed: TakeEnclosed;
  readonly samples: Samples;
  readonly rates: RateLimits;
}

/** What happens with messages. */
export interface ConversationListener {
  readonly roll: Roll<Connection>;
  readonly relay: Relay;
  /** Hears what devices that serve say. */
  readonly serving: Pick<FarServing, 'hear'>;
  /** Why no peer is accepted at present; null where they are. */
  suspended(): string | null;
  /** Whether a device is connected to another process of this hub. */
  isElsewhere(run: string, peer: string): boolean;
  /** A peer has come, or come back, to a run. */
  onPeer(connection: Connection, run: RunState): void;
  onObserver(connection: Connection): void;
  /** There is news for observers. */
  onTalk(): void;
  /** A device has said something that the other processes of this hub are told too. */
  onSaid(run: string, peer: string, message: Said): void;
}

/** Handles one message of a connection. Rejects only with unexpected errors, which have no code. */
export type Hear = (connection: Connection, frame: Uint8Array | null) => Promise<void>;

export function openConversations(hub: ConversationServices, listener: ConversationListener): Hear {
  return async (connection, frame) => {
    let event: string | null = null;
    try {
      if (!frame) throw new ProtocolError('malformed', 'message: expected a binary frame, got a text frame');
      const message = decodeFromPeer(frame);
      if (message.type === 'hello') return greet(hub, listener, connection, message);
      if (!connection.role) throw new ProtocolError('malformed', 'expected hello first');
      if (isServing(message)) {
        if (!connection.peer) throw new ProtocolError('malformed', `${message.type}: expected it of a key`);
        hub.rates.take('serve_connection', connection.number);
        await listener.serving.hear(connection, message, (error) => refuse(hub, connection, error, null));
        return;
      }
      if (isRelayed(message)) {
        hub.rates.take('relay_connection', connection.number);
        listener.relay.hear(connection, message);
        return;
      }
      if (message.type === 'events') {
        await takeTogether(message.events, {
          ...{ hub, address: connection.address },
          takeEnclosed: (bytes) => takeEnclosed(hub, connection, bytes),
          tell: (receipts) => connection.tell(receipts),
          refuse: (error, id) => refuse(hub, connection, error, id),
        });
        return;
      }
      if (message.type !== 'event') {
        hub.rates.take('talk_connection', connection.number);
        if (hearTalk(hub, listener, connection, message)) listener.onTalk();
        return;
      }
      event = sha256Hex(message.event);
      hub.rates.take('event_address', connection.address);
      if (message.enclosed) await takeEnclosed(hub, connection, message.enclosed);
      const { id, receipt } = await hub.submit(message.event, connection.address);
      assert(id === event, 'a peer gets receipts only for events that it has sent');
      connection.tell({ type: 'accepted', event: id, receipt });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (!connection.role) return connection.sendAway(error, event);
      refuse(hub, connection, error, event);
    }
  };
}

/** Refuses what a device has said. */
function refuse(hub: ConversationServices, connection: Connection, error: CodedError, event: string | null): void {
  connection.refuse(error, event);
  endIfHopeless(hub, connection, error);
}

async function takeEnclosed(
  hub: ConversationServices,
  { peer, address }: Connection,
  bytes: Uint8Array,
): Promise<void> {
  if (!peer) throw new ProtocolError('malformed', 'event: expected a blob only of a key');
  await hub.takeEnclosed({ peer, address }, bytes);
}

function greet(
  hub: ConversationServices,
  { roll, suspended, isElsewhere, onPeer, onObserver }: ConversationListener,
  connection: Connection,
  hello: Hello,
): void {
  const guest = guestOf(hello, { hub: hub.id, nonce: connection.nonce, said_before: connection.role !== null });
  if (guest.role === 'observer') {
    connection.greeted(guest.role);
    connection.follows = guest.follows;
    roll.enter(connection);
    onObserver(connection);
    return;
  }
  const { role, peer, run: id, watches } = guest;
  const others = [...roll.withKey(id, peer)];
  const is_here = others.some(({ channel }) => channel.open) || isElsewhere(id, peer);
  const entry = planEntry(guest, { suspended: suspended(), run: hub.state.runs.get(id), is_here });
  if (entry.action === 'try-later') {
    connection.tryLater(entry.reason);
    return;
  }
  hub.rates.take('connection_key', peer);
  if (entry.action === 'refuse') throw entry.error;
  for (const other of others) {
    other.sendAway(keyInUse(peer));
  }
  connection.greeted(role);
  Object.assign(connection, { peer, run: id, watches });
  roll.enter(connection);
  connection.together(() => onPeer(connection, entry.run));
}

type Talk = Exclude<FromPeer, { type: 'hello' | 'event' | 'events' } | FromServingPeer | FromRelayingPeer>;

/** Handles what is in no log: pings, progress, samples. Returns whether it is news for observers. */
function hearTalk(
  hub: ConversationServices,
  { onSaid }: ConversationListener,
  connection: Connection,
  message: Talk,
): boolean {
  const { peer, run } = connection;
  if (message.type === 'ping') connection.tell({ type: 'pong' });
  if (message.type === 'ping' || !peer || !run || !takeTalk(hub, run, peer, message)) return false;
  onSaid(run, peer, message);
  return true;
}

/** Takes in what a device says for people, to whichever process of this hub. Returns whether it is news for observers. */
export function takeTalk(
  { state, samples, telemetry }: Pick<ConversationServices, 'state' | 'samples' | 'telemetry'>,
  run: string,
  peer: string,
  message: Said,
): boolean {
  if (message.type === 'sample') return samples.hear(run, peer, message);
  // Only peers in the log are remembered: keys cost nothing, and a new key in each message would fill the memory.
  if (!state.runs.get(run)?.peers.has(peer)) return false;
  const { type: _, ...progress } = message;
  const known = telemetry.get(peer);
  if (known) known.progress = progress;
  else telemetry.set(peer, { progress, bytes_up: 0, bytes_down: 0 });
  return true;
}

/**
 * Closes after too many refusals, with a code that says why: messages that cannot be parsed will not be parsed next time either, and a peer
 * that is too fast should come back later. Refusals by the core are normal.
 */
function endIfHopeless({ rates }: ConversationServices, connection: Connection, { code, message }: CodedError): void {
  const is_fast = code === 'too-fast';
  if (!is_fast && code !== 'malformed' && code !== 'too-large') return;
  try {
    rates.take(is_fast ? 'too_fast_connection' : 'malformed_connection', connection.number);
  } catch {
    connection.deafen();
    if (is_fast) connection.tryLater('too-fast: this device sends too many messages; try again later');
    else {
      const why = `too much of what this device says is not understood, the last time: ${message}; another version of potluck may help`;
      connection.sendAway(new HubError('not-understood', why));
    }
  }
}
