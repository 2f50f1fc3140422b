// The hub's end of every WebSocket: greets, believes nobody without a signature, passes events on, tells peers what concerns them.

import type { PeerRole } from '../core/events/peer-joined.ts';
import type { EventBody } from '../core/events.ts';
import { mostTokens } from '../core/rounds/first-work.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { NetworkState, RunState } from '../core/state.ts';
import { CodedError } from '../errors.ts';
import type { Receipt } from '../ledger/receipt.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { verifySignature } from '../protocol/identity.ts';
import {
  decodeFromPeer,
  encodeMessage,
  type FromHub,
  type FromPeer,
  helloChallenge,
  otherVersion,
  PROTOCOL_VERSION,
  type RunView,
} from '../protocol/messages.ts';
import { openAbsences } from './absences.ts';
import { answerTo } from './answers.ts';
import { HubError } from './errors.ts';
import type { Feed } from './feed.ts';
import { openObservers } from './observers.ts';
import type { RateLimits } from './rate-limits.ts';
import { openRoll } from './roll.ts';
import type { Samples } from './samples.ts';
import type { Statuses } from './statuses.ts';
import { type PeerTelemetry, runView, type TimeLeft } from './views.ts';

/** What one connection, and all together, may take of the hub. */
export const CONNECTION_LIMITS = {
  connections: 20_000, // twice what a hub on two cores is meant for
  hello_ms: 10_000, // a connection that does not say who it is by then is closed
  queued_bytes: 8 << 20, // a peer that does not read is cut off before it fills the hub's memory
  waiting_messages: 64, // unanswered messages of one connection; more is a flood
  ping_every_ms: 10_000, // a connection that misses a whole interval is gone
  status_every_ms: 400, // people do not read faster
  lost_after_ms: 5000, // how long a peer may be gone before the log says so; a reconnect is quicker
  news_ms: 200, // what validators need not act on at once is told together: a verdict is news to all of them
  goodbye_ms: 1000, // what a connection that is being closed gets to read why
  silence_ms: 60_000, // a request over HTTP on which no byte moves for so long is given up; one that moves may take for ever
};
/** RFC 6455, section 7.4, and IANA's register of its codes: the service is overloaded or cannot work now. A reason has 123 bytes at most. */
const TRY_AGAIN_LATER = 1013;
const CLOSE_REASON_BYTES = 123;
export type ConnectionLimits = typeof CONNECTION_LIMITS;

interface Connection {
  /** Under which its messages are counted. */
  readonly number: string;
  readonly channel: Channel;
  /** Whom its messages are counted under, beside its key; null: nobody. */
  readonly address: string | null;
  readonly nonce: Uint8Array;
  role: 'worker' | 'validator' | 'observer' | null;
  peer: string | null;
  run: string | null;
  /** An observer that gets what changed instead of everything. */
  follows: boolean;
  alive: boolean;
  waiting: number;
  /** What is still to be done about this connection when it is closed. */
  ending: Timer;
}

/** What connections need of the hub. */
export interface HubServices {
  readonly id: string;
  readonly state: NetworkState;
  readonly clock: Clock;
  readonly time: TimeLeft;
  /** Fresh random bytes, for nonces. */
  readonly randomBytes: (length: number) => Uint8Array;
  readonly telemetry: Map<string, PeerTelemetry>;
  submit(bytes: Uint8Array, address: string | null): Promise<{ id: string; receipt: Receipt }>;
  write(body: EventBody): Promise<unknown>;
  readonly statuses: Statuses;
  readonly feed: Feed;
  readonly samples: Samples;
  readonly rates: RateLimits;
  /** Gets the code of every refusal. */
  onRefused(code: string): void;
  /** Gets what must not happen: an error without a code. */
  onError(error: unknown, where: string): void;
}

export interface Connections {
  /** @param address as `addressOf` says; null: without limits by address */
  accept(channel: Channel, address: string | null): void;
  /** The log says that a peer has come: without a connection it is not here for long. */
  joined(run: string, peer: string): void;
  /** Tells everybody concerned that a run changed: all of them or its validators at once, or its validators soon, with what comes until then. */
  runChanged(run: RunState, whom: 'all' | 'validators' | 'validators-soon'): void;
  /** Sends all peers away, and whoever comes, to try again later; observers stay. `reason` in words, for whoever is sent away. */
  suspend(reason: string): void;
  /** Takes peers again; those that do not come back are written off. */
  resume(): void;
  /** Writes leaves for peers that the log says are here but that did not come back after a restart. */
  forgetAbsent(): void;
  readonly count: () => number;
  /** How many say they are what; `unnamed` are those that have not said. */
  roles(): ReadonlyMap<string, number>;
  /** Says goodbye to everybody; after `goodbye_ms` also to those who do not listen. */
  close(): void;
}

export function openConnections(hub: HubServices, limits: ConnectionLimits = CONNECTION_LIMITS): Connections {
  const { clock } = hub;
  const roll = openRoll<Connection>();
  const isHere = (run: string, peer: string): boolean => [...roll.withKey(run, peer)].length > 0;
  const absences = openAbsences({
    ...{ ...hub, after_ms: limits.lost_after_ms, isHere },
    onCrossed(run, peer) {
      for (const connection of roll.withKey(run, peer)) welcome(connection, hub.state.runs.get(run)!, peer);
    },
  });
  let connections_so_far = 0;
  let closed = false;
  /** Why no peer is taken at present; null: they are. */
  let suspended: string | null = null;

  const send = (connection: Connection, frame: Uint8Array): void => {
    if (!connection.channel.open) return;
    if (connection.channel.queued_bytes > limits.queued_bytes) connection.channel.terminate();
    else connection.channel.send(frame);
  };
  const tell = (connection: Connection, message: FromHub): void => send(connection, encodeMessage(message));
  const { feed, statuses } = hub;
  const every_ms = limits.status_every_ms;
  const observers = openObservers({ feed, statuses, clock, every_ms, all: roll.observers, send });

  /** Says whether the log knows that a peer is here: one that it does not know joins. */
  const welcome = (connection: Connection, run: RunState, peer: string): void =>
    tell(connection, { type: 'welcome', ...sessionOf(run, peer) });

  const refuse = (connection: Connection, event: string | null, error: CodedError): void => {
    const refusal = error.details.refusal ?? error.details.reason;
    const code = typeof refusal === 'string' ? refusal : error.code;
    hub.onRefused(code);
    tell(connection, { type: 'refused', event, code, message: answerTo(error).message.slice(0, 2000) });
  };

  /** Tells why, then closes; who does not take part in closing is cut off. */
  const sendAway = (connection: Connection, error: CodedError, event: string | null = null): void => {
    if (!connection.channel.open) return;
    refuse(connection, event, error);
    connection.channel.close(1008, error.code);
    endSoon(connection);
  };

  /** Closes without a refusal: a peer that is refused does not come again. */
  const tryLater = (connection: Connection, reason: string): void => {
    connection.channel.close(TRY_AGAIN_LATER, reason.slice(0, CLOSE_REASON_BYTES));
    endSoon(connection);
  };

  const endSoon = (connection: Connection): void => {
    if (connection.channel.closed) return;
    clock.clearTimeout(connection.ending);
    connection.ending = clock.setTimeout(() => connection.channel.terminate(), limits.goodbye_ms);
  };

  const greet = (connection: Connection, hello: Extract<FromPeer, { type: 'hello' }>): void => {
    if (hello.protocol !== PROTOCOL_VERSION) {
      const versions = { hub: PROTOCOL_VERSION, peer: hello.protocol };
      throw new ProtocolError('unknown-version', otherVersion(versions));
    }
    if (connection.role) throw new ProtocolError('malformed', 'hello: a connection says hello once');
    if (hello.role === 'observer') {
      connection.role = 'observer';
      connection.follows = hello.changes === true;
      roll.enter(connection);
      tell(connection, { type: 'welcome', present: false, session: 0 });
      observers.greet(connection);
      return;
    }
    const { peer, signature, run: runId } = hello;
    if (!peer || !signature || !runId) throw new ProtocolError('malformed', 'hello: expected peer, signature and run');
    if (!verifySignature(peer, helloChallenge(hub.id, connection.nonce), signature)) {
      throw new ProtocolError('bad-signature', `hello: the signature is not ${peer}'s over this hub's nonce`);
    }
    if (suspended !== null) {
      tryLater(connection, suspended);
      return;
    }
    hub.rates.take('connection_key', peer);
    const run = hub.state.runs.get(runId);
    if (!run) throw new HubError('refused', `no run ${runId} on this hub`, { refusal: 'unknown-run' });
    // A key has one connection a run. The newer one is the device that came back, and the older one its ghost, which hears nothing; if
    // it hears this, there are two devices with one key, and it gives way.
    const others = [...roll.withKey(runId, peer)];
    if (hello.yields && others.some(({ channel }) => channel.open)) {
      throw new HubError('key-in-use', `another device takes part with the key of ${peer}`);
    }
    for (const other of others) {
      sendAway(other, new HubError('key-in-use', `another device has come with the key of ${peer}`));
    }
    Object.assign(connection, { role: hello.role, peer, run: runId });
    roll.enter(connection);
    absences.back(runId, peer);
    welcome(connection, run, peer);
    tell(connection, { type: 'run', view: viewFor(run, hello.role, boundOf(run, connection)) });
  };

  const handle = async (connection: Connection, frame: Uint8Array | null): Promise<void> => {
    let event: string | null = null;
    try {
      if (!frame) throw new ProtocolError('malformed', 'message: expected a binary frame, got a text frame');
      const message = decodeFromPeer(frame);
      if (message.type === 'hello') return greet(connection, message);
      if (!connection.role) throw new ProtocolError('malformed', 'expected hello first');
      if (message.type !== 'event') {
        hub.rates.take('talk_connection', connection.number);
        return hearTalk(connection, message);
      }
      event = sha256Hex(message.event);
      hub.rates.take('event_address', connection.address);
      const { id, receipt } = await hub.submit(message.event, connection.address);
      tell(connection, { type: 'accepted', event: id, receipt });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (!connection.role) return sendAway(connection, error, event);
      refuse(connection, event, error);
      endConversation(connection, error);
    }
  };

  /** What is in no log: that a peer is there, what it does, what its model writes. */
  const hearTalk = (connection: Connection, message: Exclude<FromPeer, { type: 'hello' | 'event' }>): void => {
    const { peer, run } = connection;
    if (message.type === 'ping') tell(connection, { type: 'pong' });
    if (message.type === 'ping' || !peer || !run) return;
    if (message.type === 'sample') {
      if (hub.samples.hear(run, peer, message)) observers.announce();
      return;
    }
    // Only who is in the log is remembered: keys cost nothing, and a key a message would fill the memory.
    if (!hub.state.runs.get(run)?.peers.has(peer)) return;
    const { type: _, ...progress } = message;
    telemetryOf(peer).progress = progress;
    observers.announce();
  };

  /**
   * Closes when too much has been refused, with a code that says why: what cannot be read will not be read the next time either, and who is
   * too fast is to come back later. What the core refuses is part of the game.
   */
  const endConversation = (connection: Connection, { code, message }: CodedError): void => {
    const tooFast = code === 'too-fast';
    if (!tooFast && code !== 'malformed' && code !== 'too-large') return;
    try {
      hub.rates.take(tooFast ? 'too_fast_connection' : 'malformed_connection', connection.number);
    } catch {
      connection.channel.deafen?.();
      if (tooFast) tryLater(connection, 'too-fast: this hub was asked too much, and too much again; try again later');
      else {
        const why = `too much of what this device says is not understood, the last time: ${message}; another version of potluck may help`;
        sendAway(connection, new HubError('not-understood', why));
      }
    }
  };

  const telemetryOf = (peer: string): PeerTelemetry => {
    let entry = hub.telemetry.get(peer);
    if (!entry) {
      entry = { progress: null, bytes_up: 0, bytes_down: 0 };
      hub.telemetry.set(peer, entry);
    }
    return entry;
  };

  const boundOf = (run: RunState, { role, peer }: Connection): number | null =>
    role === 'worker' ? mostTokens(run, peer!) : null;
  const viewFor = (run: RunState, role: PeerRole, most_tokens: number | null): RunView =>
    runView(run, hub.time, role === 'validator', most_tokens);

  /** By run, what is still to be told. */
  const news = new Map<string, Timer>();
  const tellRun = (run: RunState, roles: readonly PeerRole[]): void => {
    clock.clearTimeout(news.get(run.id));
    news.delete(run.id);
    for (const role of roles) {
      // Packed once for all who are told the same.
      const frames = new Map<number | null, Uint8Array>();
      for (const connection of roll.inRun(run.id, role)) {
        const most_tokens = boundOf(run, connection);
        const frame = frames.get(most_tokens) ?? encodeMessage({ type: 'run', view: viewFor(run, role, most_tokens) });
        frames.set(most_tokens, frame);
        send(connection, frame);
      }
    }
  };

  const lost = (connection: Connection): void => {
    roll.remove(connection);
    const { peer, run } = connection;
    if (peer && run && !closed && suspended === null && !isHere(run, peer)) absences.gone(run, peer);
  };

  let heartbeat: Timer;
  const beat = (): void => {
    heartbeat = clock.setTimeout(() => {
      for (const connection of roll.all) {
        if (!connection.alive) connection.channel.terminate();
        connection.alive = false;
        if (connection.channel.open) connection.channel.ping();
      }
      beat();
    }, limits.ping_every_ms);
  };
  beat();

  return {
    accept(channel, address) {
      const connection: Connection = {
        number: String(connections_so_far++),
        channel,
        address,
        nonce: hub.randomBytes(32),
        role: null,
        peer: null,
        run: null,
        follows: false,
        alive: true,
        waiting: 0,
        ending: undefined,
      };
      roll.add(connection);
      const impatience = clock.setTimeout(() => {
        if (connection.role) return;
        sendAway(connection, new HubError('no-hello', `expected hello within ${limits.hello_ms} ms, got none`));
      }, limits.hello_ms);
      // Messages of one connection are answered in their order.
      let queue: Promise<void> = Promise.resolve();
      channel.listen({
        onAlive() {
          connection.alive = true;
        },
        onMessage(frame) {
          if (!channel.open) return; // already told to go
          connection.alive = true;
          if (++connection.waiting > limits.waiting_messages) {
            const message = `at most ${limits.waiting_messages} messages may wait for their answer, got more`;
            channel.deafen?.();
            sendAway(connection, new HubError('too-many-messages', message));
            return;
          }
          queue = queue
            .then(() => handle(connection, frame))
            .catch((error) => {
              hub.onError(error, 'a message');
              channel.close(1011, 'the hub failed at this message');
            })
            .finally(() => {
              connection.waiting--;
            });
        },
        // A frame that is none: PeerSocket has told why, and the close is under way.
        onError: () => endSoon(connection),
        onClose() {
          clock.clearTimeout(impatience);
          clock.clearTimeout(connection.ending);
          lost(connection);
        },
      });
      tell(connection, { type: 'challenge', protocol: PROTOCOL_VERSION, hub: hub.id, nonce: connection.nonce });
    },
    joined(run, peer) {
      if (suspended === null && !isHere(run, peer)) absences.gone(run, peer);
    },
    runChanged(run, whom) {
      observers.announce();
      if (whom === 'validators-soon') {
        if (!news.has(run.id))
          news.set(
            run.id,
            clock.setTimeout(() => tellRun(run, ['validator']), limits.news_ms),
          );
      } else tellRun(run, whom === 'all' ? ['worker', 'validator'] : ['validator']);
    },
    suspend(reason) {
      suspended = reason;
      observers.announce();
      for (const connection of roll.all) if (connection.peer !== null) tryLater(connection, reason);
    },
    resume() {
      if (suspended === null) return;
      suspended = null;
      observers.announce();
      absences.allGone();
    },
    forgetAbsent: absences.allGone,
    count: () => roll.all.size,
    roles: roll.roles,
    close() {
      closed = true;
      clock.clearTimeout(heartbeat);
      for (const timer of news.values()) clock.clearTimeout(timer);
      observers.close();
      absences.close();
      for (const connection of roll.all) {
        connection.channel.close(1001, 'the hub is going down');
        endSoon(connection);
      }
    },
  };
}
