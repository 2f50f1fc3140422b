// All WebSockets of the hub: connected peers and observers, the messages that they get, and the peers that count as gone.
import type { EventBody } from '../core/events.ts';
import { sessionOf } from '../core/rounds/presence.ts';
import type { RunState } from '../core/state.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Clock, Timer } from '../protocol/clock.ts';
import { PROTOCOL_VERSION } from '../protocol/messages.ts';
import { type Absences, openAbsences } from './absences.ts';
import type { FarRelay } from './cluster/far-relay.ts';
import type { FarServing } from './cluster/far-serving.ts';
import type { Member } from './cluster/member.ts';
import type { Presence } from './cluster/presence.ts';
import type { Talk } from './cluster/talk.ts';
import { CONNECTION_LIMITS, Connection, type ConnectionLimits, type ConnectionListener } from './connection.ts';
import { type ConversationServices, openConversations, takeTalk } from './conversation.ts';
import type { Feed } from './feed.ts';
import { keyInUse } from './hello.ts';
import { openObservers } from './observers.ts';
import { openRelay, type RelayCounts } from './relay.ts';
import { openRoll, type Roll } from './roll.ts';
import { type Audience, openRunNews } from './run-news.ts';
import type { Pool } from './serving/pool.ts';
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
  /** Who is connected to the other processes of this hub. */
  readonly presence: Presence;
  readonly talk: Talk;
  readonly pool: Pick<Pool, 'hear' | 'gone'>;
  /** Lets pools of other processes use the devices of this one, and its pool theirs; null for a hub that is one process. */
  readonly servingAround: Member['servingAround'] | null;
  /** Puts the way to devices of other processes around a relay; null for a hub that is one process. */
  readonly relayAround: Member['relayAround'] | null;
  /** Whether this process writes the log, and so the leaves of those who are gone. */
  readonly leads: () => boolean;
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
  /** A peer has left by the log; if it is connected, it is told so. */
  left(run: string, peer: string): void;
  /** Tells everybody concerned that a run changed. */
  runChanged(run: RunState, whom: Audience): void;
  /** Disconnects all peers, and refuses new ones, with the request to try again later; observers stay. `reason`: a sentence for them. */
  suspend(reason: string): void;
  /** Takes peers again; a process that leads writes off those that do not come back. */
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
  const { clock, presence } = hub;
  const roll = openRoll<Connection>();
  /** Why no peer is accepted at present; null where they are. */
  let suspended: string | null = null;
  let connections_so_far = 0;
  let closed = false;

  /** Tells a peer whether it is present by the log; if not, it joins. */
  const welcome = (connection: Connection, run: RunState): void =>
    connection.tell({ type: 'welcome', ...sessionOf(run, connection.peer!) });
  const left = (run: string, peer: string): void => {
    for (const connection of roll.withKey(run, peer)) welcome(connection, hub.state.runs.get(run)!);
  };
  const { absences, mayBeGone } = openAttendance(hub, limits, roll, left, () => !closed && suspended === null);
  const observers = openObservers<Connection>({
    ...{ ...hub, every_ms: limits.status_every_ms, all: roll.observers, send: (one, frame) => one.send(frame) },
  });
  const news = openRunNews({ ...hub, soon_ms: limits.news_ms, inRun: roll.inRun });
  const [relay, serving] = [relayAmong(roll, hub), servingOf(hub)];
  const hear = openConversations(hub, {
    ...{ roll, relay, serving },
    suspended: () => suspended,
    isElsewhere: (run, peer) => presence.frontOf(run, peer) !== null,
    onPeer(connection, run) {
      absences.back(run.id, connection.peer!);
      presence.here(run.id, connection.peer!);
      welcome(connection, run);
      news.tell(run, connection);
    },
    onObserver(connection) {
      connection.tell({ type: 'welcome', present: false, session: 0 });
      observers.greet(connection);
    },
    ...{ onTalk: observers.announce, onSaid: hub.talk.said },
  });
  hub.talk.listen((run, peer, message) => takeTalk(hub, run, peer, message) && observers.announce());
  const listener: ConnectionListener = {
    ...{ onMessage: hear, onFailure: (error: unknown) => hub.onError(error, 'a message') },
    onGone(connection) {
      roll.remove(connection);
      for (const one of [serving, relay]) one.gone(connection);
      const { run, peer } = connection;
      if (!peer || !run || roll.hasKey(run, peer)) return;
      presence.gone(run, peer);
      mayBeGone(run, peer);
    },
  };
  const heartbeat = openHeartbeat(clock, limits.ping_every_ms, roll.all);

  return {
    accept(channel, address) {
      const [number, nonce] = [String(connections_so_far++), hub.randomBytes(32)];
      const connection = new Connection({ channel, number, address, nonce, clock, limits, onRefused: hub.onRefused });
      roll.add(connection);
      connection.listen(listener);
      connection.tell({ type: 'challenge', protocol: PROTOCOL_VERSION, hub: hub.id, nonce });
    },
    joined: mayBeGone,
    left,
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
      if (hub.leads()) absences.allGone();
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
      relay.close();
      serving.close();
      for (const connection of roll.all) connection.leave();
    },
  };
}

/** Who is here, in this process or another, and who may be gone. @param left tells a connected device what the log says of it */
function openAttendance(
  hub: HubServices,
  limits: ConnectionLimits,
  roll: Roll<Connection>,
  left: (run: string, peer: string) => void,
  isOpen: () => boolean,
): { readonly absences: Absences; mayBeGone(run: string, peer: string): void } {
  const { presence } = hub;
  const isHere = (run: string, peer: string): boolean => roll.hasKey(run, peer) || presence.frontOf(run, peer) !== null;
  const absences = openAbsences({
    ...{ ...hub, after_ms: limits.lost_after_ms, isHere, unnamed: roll.unnamed, onCrossed: left },
  });
  const mayBeGone = (run: string, peer: string): void => {
    if (isOpen() && hub.leads() && !isHere(run, peer)) absences.gone(run, peer);
  };
  presence.listen({
    onHere(run, peer) {
      absences.back(run, peer);
      for (const connection of roll.withKey(run, peer)) connection.sendAway(keyInUse(peer));
    },
    onGone: mayBeGone,
  });
  return { absences, mayBeGone };
}

/** Passes on what devices that take part say to each other, also to devices of other processes. */
function relayAmong(roll: Roll<Connection>, { state, relayCounts: counts, relayAround }: HubServices): FarRelay {
  const takesPart = (run: string, peer: string): boolean => state.runs.get(run)?.peers.get(peer)?.present === true;
  const near = openRelay({
    ...{ withKey: roll.withKey, takesPart, counts },
    isKnown: (run, peer) => state.runs.get(run)?.peers.has(peer) === true,
  });
  const isHere = (run: string, peer: string): boolean =>
    [...roll.withKey(run, peer)].some(({ channel }) => channel.open);
  return relayAround?.({ near, isHere, takesPart, counts }) ?? Object.assign(near, { close() {} });
}

/** What becomes of what devices that serve say: a hub that is one process has one pool, which they are connected to. */
function servingOf({ pool, servingAround }: HubServices): FarServing {
  if (servingAround) return servingAround(pool);
  const alone: Omit<FarServing, 'close'> = {
    hear: async (connection, message) => pool.hear(connection, message),
    gone: (connection) => pool.gone(connection),
  };
  return { ...alone, close() {} };
}

/** In so many parts all are pinged, one after the other: ten thousand at once would hold up everything else for a tenth of a second. */
const PING_PARTS = 20;

function openHeartbeat(clock: Clock, every_ms: number, all: ReadonlySet<Connection>): { close(): void } {
  let timer: Timer;
  let part = 0;
  const wait = (): void => {
    timer = clock.setTimeout(() => {
      for (const connection of all) if (Number(connection.number) % PING_PARTS === part) connection.ping();
      part = (part + 1) % PING_PARTS;
      wait();
    }, every_ms / PING_PARTS);
  };
  wait();
  return { close: () => clock.clearTimeout(timer) };
}
