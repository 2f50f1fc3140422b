// What the other processes of a hub say of who is connected to them. Each counts what it says; where a message is missing, it is asked for all.
import type { Clock } from '../../protocol/clock.ts';
import type { Bus } from './bus.ts';
import { decodeBusMessage, encodeBusMessage, type Message, type Subjects } from './subjects.ts';

/** Who has been silent for so long is gone: three of its messages may be lost. */
const BELIEVED_MS = 3500;
/** Where a process has not heard itself for so long, the bus stood still or was away, and says nothing about the others: two of its beats may be lost. */
const STILL_MS = 2500;

/** A device in a run. */
export type Place = [run: string, peer: string];

export const keyOf = (run: string, peer: string): string => `${run}:${peer}`;

/** A process of the hub. */
export interface Front {
  /** The name of the process, which it draws when it starts. */
  readonly instance: string;
  /** Where devices reach it; null for a process that they do not connect to. */
  readonly url: string | null;
  readonly region: string | null;
}

/** This process: it does not know yet where it will listen. */
export interface OwnFront extends Omit<Front, 'url'> {
  url(): string | null;
}

export interface PresenceListener {
  /** A device has connected to another process. */
  onHere(run: string, peer: string): void;
  /** A device's connection to another process has ended, or that process has. */
  onGone(run: string, peer: string): void;
}

export interface OthersOptions {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly own: OwnFront;
  onError(error: unknown): void;
}

/** What one process has said. */
interface Known {
  /** A process has an address only once it listens. */
  front: Front;
  readonly peers: Map<string, Place>;
  /** The number of the last change that was heard, none missing; null until everything was heard again. */
  heard: number | null;
  heard_ms: number;
  /** The parts of a whole list, until all are there. */
  parts: Place[][];
}

export function openOthers({ bus, subjects, clock, own, onError }: OthersOptions) {
  const known = new Map<string, Known>();
  /** When this process last heard itself: until then the bus is known to have carried messages. */
  let own_heard_ms = clock.elapsed_ms();
  const places = openPlaces();
  const askAgain = (instance: string): void =>
    bus.publish(subjects.say_again, encodeBusMessage('say_again', { instance }));

  const forget = (instance: string): void => {
    const one = known.get(instance);
    known.delete(instance);
    for (const place of one?.peers.values() ?? []) places.leave(instance, place);
  };
  const hearChanges = (one: Known, { number, here, gone }: Message<'presence'>): void => {
    if (one.heard === null) return;
    const isNext = number === one.heard + 1 && here.length + gone.length > 0;
    if (number !== one.heard && !isNext) {
      one.heard = null;
      askAgain(one.front.instance);
      return;
    }
    one.heard = number;
    for (const place of gone) {
      one.peers.delete(keyOf(...place));
      places.leave(one.front.instance, place);
    }
    for (const place of here) {
      one.peers.set(keyOf(...place), place);
      places.enter(one.front.instance, place);
    }
  };
  const hearOwn = (): void => {
    const now_ms = clock.elapsed_ms();
    if (now_ms - own_heard_ms > STILL_MS) for (const one of known.values()) one.heard_ms = now_ms;
    own_heard_ms = now_ms;
  };
  const hear = (message: Message<'presence'>): void => {
    const { instance, url, region } = message;
    if (instance === own.instance) {
      hearOwn();
      return;
    }
    if (message.ended) {
      forget(instance);
      return;
    }
    const before = known.get(instance);
    const one = before ?? { front: { instance, url, region }, peers: new Map(), heard: null, heard_ms: 0, parts: [] };
    known.set(instance, one);
    one.front = { instance, url, region };
    one.heard_ms = clock.elapsed_ms();
    if (message.whole) hearWhole(one, message, places);
    else if (before) hearChanges(one, message);
    else askAgain(instance);
  };
  const subscription = bus.subscribe(subjects.presence, (bytes) => {
    try {
      hear(decodeBusMessage('presence', bytes));
    } catch (error) {
      onError(error);
    }
  });

  return {
    /** Forgets who has been silent while the bus was not. */
    look(): void {
      for (const [instance, one] of [...known]) {
        if (own_heard_ms - one.heard_ms > BELIEVED_MS) forget(instance);
        else if (one.heard === null) askAgain(instance);
      }
    },
    frontOf: places.of,
    fronts: (): Front[] => [...known.values()].map(({ front }) => front),
    listen: places.listen,
    close: () => subscription.close(),
  };
}

type Places = ReturnType<typeof openPlaces>;

/** Where each device is: at the process that said so last. */
function openPlaces() {
  const places = new Map<string, string>();
  let listener: PresenceListener = { onHere() {}, onGone() {} };
  return {
    enter(instance: string, [run, peer]: Place): void {
      const key = keyOf(run, peer);
      if (places.get(key) === instance) return;
      places.set(key, instance);
      listener.onHere(run, peer);
    },
    /** Nothing, where another process has said since that it has the device. */
    leave(instance: string, [run, peer]: Place): void {
      if (places.get(keyOf(run, peer)) !== instance) return;
      places.delete(keyOf(run, peer));
      listener.onGone(run, peer);
    },
    of: (run: string, peer: string): string | null => places.get(keyOf(run, peer)) ?? null,
    listen(to: PresenceListener): void {
      listener = to;
    },
  };
}

/** A part of the whole list; a list of which a part is missing changes nothing, and is asked for again. */
function hearWhole(one: Known, { number, whole, here }: Message<'presence'>, places: Places): void {
  const { part, of } = whole!;
  if (part === 0) one.parts = [];
  if (part !== one.parts.length) return;
  one.parts.push(here);
  if (part < of - 1) return;
  const now = new Map(one.parts.flat().map((place) => [keyOf(...place), place] as const));
  one.parts = [];
  one.heard = number;
  const { instance } = one.front;
  for (const [key, place] of [...one.peers]) {
    if (now.has(key)) continue;
    one.peers.delete(key);
    places.leave(instance, place);
  }
  for (const [key, place] of now) {
    // A device that was known here and has moved since is not brought back by a list.
    const isNew = !one.peers.has(key);
    one.peers.set(key, place);
    if (isNew) places.enter(instance, place);
  }
}
