// Which device is connected to which process of the hub. Each process says so on the bus; what is lost there is asked for again.
import type { Clock, Timer } from '../../protocol/clock.ts';
import type { Bus } from './bus.ts';
import { type Front, keyOf, type OwnFront, openOthers, type Place, type PresenceListener } from './others.ts';
import { decodeBusMessage, encodeBusMessage, type Message, type Subjects } from './subjects.ts';

/** How often a process says that it is there. */
const HERE_EVERY_MS = 1000;
/** Comings and goings of so long are one message. */
const GATHER_MS = 20;
/** Some 130 bytes each, so that a message stays within the limit of the bus. */
const PEERS_A_MESSAGE = 5000;

export interface Presence {
  /** A device has connected to this process, or has lost its last connection to it. */
  here(run: string, peer: string): void;
  gone(run: string, peer: string): void;
  /** The other process that a device is connected to; null for none. */
  frontOf(run: string, peer: string): string | null;
  /** All processes that are there, this one too. */
  fronts(): readonly Front[];
  listen(listener: PresenceListener): void;
  close(): void;
}

/** For a hub that is one process. */
export const ALONE: Presence = {
  here() {},
  gone() {},
  frontOf: () => null,
  fronts: () => [],
  listen() {},
  close() {},
};

export interface PresenceOptions {
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly clock: Clock;
  readonly own: OwnFront;
  onError(error: unknown): void;
}

export function openPresence(options: PresenceOptions): Presence {
  const { bus, subjects, clock, own } = options;
  const others = openOthers(options);
  /** Who is connected here. */
  const mine = new Map<string, Place>();
  let number = 0;
  const changed = {
    here: new Map<string, Place>(),
    gone: new Map<string, Place>(),
  };
  let gathering: Timer;
  let beat: Timer;

  const ownNow = (): Front => ({ ...own, url: own.url() });
  const say = (message: Omit<Message<'presence'>, keyof Front>): void =>
    bus.publish(subjects.presence, encodeBusMessage('presence', { ...ownNow(), ...message }));
  const sayChanges = (): void => {
    clock.clearTimeout(gathering);
    gathering = undefined;
    const here = [...changed.here.values()];
    const gone = [...changed.gone.values()];
    changed.here.clear();
    changed.gone.clear();
    for (let at = 0; at < Math.max(here.length, gone.length); at += PEERS_A_MESSAGE) {
      const part = <T>(list: readonly T[]): T[] => list.slice(at, at + PEERS_A_MESSAGE);
      say({ number: ++number, whole: null, here: part(here), gone: part(gone) });
    }
  };
  const soon = (): void => {
    gathering ??= clock.setTimeout(sayChanges, GATHER_MS);
  };
  const sayWhole = (): void => {
    sayChanges();
    const all = [...mine.values()];
    const count = Math.max(1, Math.ceil(all.length / PEERS_A_MESSAGE));
    for (let part = 0; part < count; part++) {
      const here = all.slice(part * PEERS_A_MESSAGE, (part + 1) * PEERS_A_MESSAGE);
      say({ number, whole: { part, of: count }, here, gone: [] });
    }
  };
  const beating = (): void => {
    say({ number, whole: null, here: [], gone: [] });
    others.look();
    beat = clock.setTimeout(beating, HERE_EVERY_MS);
  };
  const asked = bus.subscribe(subjects.say_again, (bytes) => {
    const { instance } = decodeBusMessage('say_again', bytes);
    if (instance === null || instance === own.instance) sayWhole();
  });
  bus.publish(subjects.say_again, encodeBusMessage('say_again', { instance: null }));
  sayWhole();
  beat = clock.setTimeout(beating, HERE_EVERY_MS);

  return {
    here(run, peer) {
      const key = keyOf(run, peer);
      mine.set(key, [run, peer]);
      changed.gone.delete(key);
      changed.here.set(key, [run, peer]);
      soon();
    },
    gone(run, peer) {
      const key = keyOf(run, peer);
      if (!mine.delete(key)) return;
      changed.here.delete(key);
      changed.gone.set(key, [run, peer]);
      soon();
    },
    frontOf: others.frontOf,
    fronts: () => [ownNow(), ...others.fronts()],
    listen: others.listen,
    close() {
      clock.clearTimeout(gathering);
      clock.clearTimeout(beat);
      say({ number: number + 1, whole: null, here: [], gone: [], ended: true });
      asked.close();
      others.close();
    },
  };
}
