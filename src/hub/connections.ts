// All WebSockets of the hub: connected peers and observers, the messages that they get, and the peers that count as gone.
import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { RunState } from '../core/state.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { openAbsences } from './absences.ts';
import { CONNECTION_LIMITS, Connection, type ConnectionLimits } from './connection.ts';
import { type ConversationServices, openConversations } from './conversation.ts';
import type { Feed } from './feed.ts';
import { openObservers } from './observers.ts';
import { openRelay, type Relay, type RelayCounts } from './relay.ts';
import { openRoll, type Roll } from './roll.ts';
import { type Audience, openRunNews } from './run-news.ts';
import type { Statuses } from './statuses.ts';
import type { TimeLeft } from './views.ts';

/** What connections need from the hub. */
export interface HubServices extends ConversationServices {
  readonly clock: Clock;
  readonly time: TimeLeft;
  /** Fresh random bytes, for nonces. */
  readonly randomBytes: (length: number) => Uint8Array;
  write(body: EventBody): Promise<unknown>;
  readonly statuses: Statuses;
  readonly feed: Feed;
  readonly relayCounts: RelayCounts;
  /** Gets the code of every refusal. */
  onRefused(code: string): void;
  /** Gets unexpected errors, which have no code. */
  onError(error: unknown, where: string): void;
}

export interface Connections {
  /** @param address as `addressOf` gives it; null: without limits by address */
  accept(channel: Channel, address: string | null): void;
  /** A peer is present by the log; without a connection it is soon written off. */
  joined(run: string, peer: string): void;
  /** Tells everybody concerned that a run changed. */
  runChanged(run: RunState, whom: Audience): void;
  /** Disconnects all peers, and refuses new ones, with the request to try again later; observers stay. `reason`: a sentence for them. */
  suspend(reason: string): void;
  /** Takes peers again; those that do not come back are written off. */
  resume(): void;
  /** Writes leaves for peers that are present by the log but did not come back after a restart. */
  forgetAbsent(): void;
  readonly count: () => number;
  /** How many connections have each role; `unnamed` are those before hello. */
  roles(): ReadonlyMap<string, number>;
  /** Says goodbye to everybody, and disconnects after `goodbye_ms` those that do not answer. */
  close(): void;
}

export function openConnections(hub: HubServices, limits: ConnectionLimits = CONNECTION_LIMITS): Connections {
  const { clock } = hub;
  const roll = openRoll<Connection>();
  /** Why no peer is accepted at present; null where they are. */
  let suspended: string | null = null;
  let connections_so_far = 0;
  let closed = false;

  /** Tells a peer whether it is present by the log; if not, it joins. */
  const welcome = (connection: Connection, run: RunState): void =>
    connection.tell({ type: 'welcome', ...sessionOf(run, connection.peer!) });
  const absences = openAbsences({
    ...{ ...hub, after_ms: limits.lost_after_ms, isHere: roll.hasKey, unnamed: roll.unnamed },
    onCrossed(run, peer) {
      for (const connection of roll.withKey(run, peer)) welcome(connection, hub.state.runs.get(run)!);
    },
  });
  const observers = openObservers<Connection>({
    ...{ ...hub, every_ms: limits.status_every_ms, all: roll.observers },
    send: (observer, frame) => observer.send(frame),
  });
  const news = openRunNews({ ...hub, soon_ms: limits.news_ms, inRun: roll.inRun });
  const relay = relayAmong(roll, hub);
  const hear = openConversations(hub, {
    roll,
    relay,
    suspended: () => suspended,
    onPeer(connection, run) {
      absences.back(run.id, connection.peer!);
      welcome(connection, run);
      news.tell(run, connection);
    },
    onObserver(connection) {
      connection.tell({ type: 'welcome', present: false, session: 0 });
      observers.greet(connection);
    },
    onTalk: observers.announce,
  });
  const mayBeGone = (run: string, peer: string): void => {
    if (!closed && suspended === null && !roll.hasKey(run, peer)) absences.gone(run, peer);
  };

  const heartbeat = openHeartbeat(clock, limits.ping_every_ms, roll.all);

  return {
    accept(channel, address) {
      const number = String(connections_so_far++);
      const nonce = hub.randomBytes(32);
      const connection = new Connection({ channel, number, address, nonce, clock, limits, onRefused: hub.onRefused });
      roll.add(connection);
      connection.listen({
        onMessage: (frame) => hear(connection, frame),
        onFailure: (error) => hub.onError(error, 'a message'),
        onGone() {
          roll.remove(connection);
          for (const one of [hub.pool, relay]) one.gone(connection);
          if (connection.peer && connection.run) mayBeGone(connection.run, connection.peer);
        },
      });
      connection.tell({ type: 'challenge', protocol: PROTOCOL_VERSION, hub: hub.id, nonce });
    },
    joined: mayBeGone,
    runChanged(run, whom) {
      observers.announce();
      news.announce(run, whom);
    },
    suspend(reason) {
      suspended = reason;
      observers.announce();
      for (const connection of roll.all) if (connection.peer !== null) connection.tryLater(reason);
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
      heartbeat.close();
      news.close();
      observers.close();
      absences.close();
      for (const connection of roll.all) connection.leave();
    },
  };
}

/** Passes on what devices that take part say to each other. */
const relayAmong = ({ withKey }: Roll<Connection>, { state, relayCounts }: HubServices): Relay =>
  openRelay({
    withKey,
    takesPart: (run, peer) => state.runs.get(run)?.peers.get(peer)?.present === true,
    isKnown: (run, peer) => state.runs.get(run)?.peers.has(peer) === true,
    counts: relayCounts,
  });

function openHeartbeat(clock: Clock, every_ms: number, all: ReadonlySet<Connection>): { close(): void } {
  let timer: Timer;
  const wait = (): void => {
    timer = clock.setTimeout(() => {
      for (const connection of all) connection.ping();
      wait();
    }, every_ms);
  };
  wait();
  return { close: () => clock.clearTimeout(timer) };
}
