// The hub's end of every WebSocket: greets, believes nobody without a signature, passes events on, tells peers what concerns them.
import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/presence.ts';
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
  PROTOCOL_VERSION,
  type RunStatus,
} from '../protocol/messages.ts';
import { answerTo } from './answers.ts';
import { HubError } from './errors.ts';
import type { Feed } from './feed.ts';
import { tally } from './metrics.ts';
import type { RateLimits } from './rate-limits.ts';
import type { Samples } from './samples.ts';
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
  goodbye_ms: 1000, // what a connection that is being closed gets to read why
  silence_ms: 60_000, // a request over HTTP on which no byte moves for so long is given up; one that moves may take for ever
};
/** RFC 6455, section 7.4, and IANA's register of its codes: the service is overloaded or cannot work now. A reason has 123 bytes at most. */
const TRY_AGAIN_LATER = 1013;
const CLOSE_REASON_BYTES = 123;
export type ConnectionLimits = typeof CONNECTION_LIMITS;

interface Connection {
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
  submit(bytes: Uint8Array): Promise<{ id: string; receipt: Receipt }>;
  write(body: EventBody): Promise<unknown>;
  statuses(): RunStatus[];
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
  /** Tells everybody concerned that a run changed. */
  runChanged(run: RunState, phaseChanged: boolean): void;
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
  const open = new Set<Connection>();
  const lostTimers = new Map<string, Timer>();
  let statusTimer: Timer;
  let closed = false;
  /** Why no peer is taken at present; null: they are. */
  let suspended: string | null = null;

  const send = (connection: Connection, frame: Uint8Array): void => {
    if (!connection.channel.open) return;
    if (connection.channel.queued_bytes > limits.queued_bytes) connection.channel.terminate();
    else connection.channel.send(frame);
  };
  const tell = (connection: Connection, message: FromHub): void => send(connection, encodeMessage(message));

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
      const message = `this hub speaks protocol ${PROTOCOL_VERSION}, the peer speaks ${hello.protocol}`;
      throw new ProtocolError('unknown-version', message);
    }
    if (connection.role) throw new ProtocolError('malformed', 'hello: a connection says hello once');
    if (hello.role === 'observer') {
      connection.role = 'observer';
      tell(connection, { type: 'welcome', present: false, session: 0 });
      connection.follows = hello.changes === true;
      if (!connection.follows) tell(connection, { type: 'status', runs: hub.statuses() });
      else for (const changes of hub.feed.snapshot()) tell(connection, changes);
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
    const others = [...open].filter((other) => other !== connection && other.peer === peer && other.run === runId);
    if (hello.yields && others.some(({ channel }) => channel.open)) {
      throw new HubError('key-in-use', `another device takes part with the key of ${peer}`);
    }
    for (const other of others) {
      sendAway(other, new HubError('key-in-use', `another device has come with the key of ${peer}`));
    }
    Object.assign(connection, { role: hello.role, peer, run: runId });
    clock.clearTimeout(lostTimers.get(`${runId}:${peer}`));
    tell(connection, { type: 'welcome', ...sessionOf(run, peer) });
    tell(connection, { type: 'run', view: runView(run, hub.time, hello.role === 'validator') });
  };

  const handle = async (connection: Connection, frame: Uint8Array | null): Promise<void> => {
    let event: string | null = null;
    try {
      if (!frame) throw new ProtocolError('malformed', 'message: expected a binary frame, got a text frame');
      const message = decodeFromPeer(frame);
      if (message.type === 'hello') return greet(connection, message);
      if (!connection.role) throw new ProtocolError('malformed', 'expected hello first');
      if (message.type === 'ping') return tell(connection, { type: 'pong' });
      if (message.type === 'progress') {
        const { peer, run } = connection;
        // Only who is in the log is remembered: keys cost nothing, and a key a message would fill the memory.
        if (peer && run && hub.state.runs.get(run)?.peers.has(peer)) {
          const { type: _, ...progress } = message;
          telemetryOf(peer).progress = progress;
          announceStatus();
        }
        return;
      }
      if (message.type === 'sample') {
        const { peer, run } = connection;
        if (peer && run && hub.samples.hear(run, peer, message)) announceStatus();
        return;
      }
      event = sha256Hex(message.event);
      hub.rates.take('event_address', connection.address);
      const { id, receipt } = await hub.submit(message.event);
      tell(connection, { type: 'accepted', event: id, receipt });
    } catch (error) {
      if (!(error instanceof CodedError)) throw error;
      if (connection.role) refuse(connection, event, error);
      else sendAway(connection, error, event);
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

  const announceStatus = (): void => {
    if (statusTimer || closed) return;
    statusTimer = clock.setTimeout(() => {
      statusTimer = undefined;
      const observers = [...open].filter((connection) => connection.role === 'observer');
      if (observers.length === 0) return;
      const [following, looking] = [true, false].map((follows) => observers.filter((one) => one.follows === follows));
      const whole = looking.length > 0 ? [encodeMessage({ type: 'status', runs: hub.statuses() })] : [];
      const changes = following.length > 0 ? hub.feed.changes().map(encodeMessage) : [];
      for (const observer of observers) {
        for (const frame of observer.follows ? changes : whole) send(observer, frame);
      }
    }, limits.status_every_ms);
  };

  const lost = (connection: Connection): void => {
    open.delete(connection);
    const { peer, run } = connection;
    if (!peer || !run || closed || suspended !== null) return;
    if ([...open].some((other) => other.peer === peer && other.run === run)) return;
    lostTimers.set(
      `${run}:${peer}`,
      clock.setTimeout(() => writeLeft(run, peer, 'connection lost'), limits.lost_after_ms),
    );
  };

  const writeLeft = (run: string, peer: string, reason: 'connection lost' | 'hub restarted'): void => {
    lostTimers.delete(`${run}:${peer}`);
    const known = hub.state.runs.get(run);
    if (closed || !known) return;
    const { present, session } = sessionOf(known, peer);
    if (!present) return;
    // A leave that crosses with the peer's own goodbye is refused by the core: nothing to do then.
    hub.write({ type: 'peer.left', version: 1, run, peer, session, reason }).catch(() => {});
  };

  const forgetAbsent = (): void => {
    for (const run of hub.state.runs.values()) {
      for (const peer of run.peers.values()) {
        if (!peer.present) continue;
        const timer = clock.setTimeout(() => {
          const back = [...open].some((other) => other.peer === peer.id && other.run === run.id);
          if (!back) writeLeft(run.id, peer.id, 'hub restarted');
        }, limits.lost_after_ms);
        lostTimers.set(`${run.id}:${peer.id}`, timer);
      }
    }
  };

  let heartbeat: Timer;
  const beat = (): void => {
    heartbeat = clock.setTimeout(() => {
      for (const connection of open) {
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
      open.add(connection);
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
    runChanged(run, phaseChanged) {
      announceStatus();
      const concerned = [...open].filter(
        ({ run: id, role }) => id === run.id && (phaseChanged ? role !== 'observer' : role === 'validator'),
      );
      if (concerned.length === 0) return;
      const frames = new Map<boolean, Uint8Array>();
      for (const connection of concerned) {
        const validator = connection.role === 'validator';
        let frame = frames.get(validator);
        if (!frame) {
          frame = encodeMessage({ type: 'run', view: runView(run, hub.time, validator) });
          frames.set(validator, frame);
        }
        send(connection, frame);
      }
    },
    suspend(reason) {
      suspended = reason;
      announceStatus();
      for (const connection of open) if (connection.peer !== null) tryLater(connection, reason);
    },
    resume() {
      if (suspended === null) return;
      suspended = null;
      announceStatus();
      forgetAbsent();
    },
    forgetAbsent,
    count: () => open.size,
    roles: () => tally([...open].map(({ role }) => role ?? 'unnamed')),
    close() {
      closed = true;
      clock.clearTimeout(heartbeat);
      clock.clearTimeout(statusTimer);
      for (const timer of lostTimers.values()) clock.clearTimeout(timer);
      for (const connection of open) {
        connection.channel.close(1001, 'the hub is going down');
        endSoon(connection);
      }
    },
  };
}
