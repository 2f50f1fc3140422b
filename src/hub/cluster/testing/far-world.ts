// Processes of a hub with a relay each, on a bus, and devices that send frames, take them, move and vanish; what must never happen is checked at once.
import assert from 'node:assert/strict';
import type { Clock } from '../../../protocol/clock.ts';
import type { FromHub } from '../../../protocol/from-hub.ts';
import { RELAY_LIMITS } from '../../../protocol/relay-messages.ts';
import { NO_RELAY_COUNTS, openRelay, type RelayConnection } from '../../relay.ts';
import type { Bus } from '../bus.ts';
import { type FarRelay, openFarRelay } from '../far-relay.ts';

export const RUN = 'a'.repeat(64);
/** A process knows where devices are so much later. */
export const PRESENCE_LAG_MS = 30;

/** What a device sent to another one, by its numbers: all up to `base` is told as lost or taken before. */
interface Sent {
  last: number;
  taken: number;
  base: number;
}

/** A front end, as far as relaying goes. */
export class FarFront {
  readonly name: string;
  readonly connections = new Set<Line>();
  readonly relay: FarRelay;
  readonly errors: unknown[] = [];

  constructor(world: FarWorld, name: string, bus: Bus, clock: Clock) {
    this.name = name;
    const withKey = (run: string, peer: string): Line[] =>
      [...this.connections].filter((one) => one.run === run && one.peer === peer);
    const members = { takesPart: () => true, isKnown: () => true, counts: NO_RELAY_COUNTS };
    this.relay = openFarRelay({
      ...{ own: name, bus, clock, subject: (front) => `relay.${front}`, ...members },
      near: openRelay({ withKey, ...members }),
      isHere: (run, peer) => withKey(run, peer).some(({ channel }) => channel.open),
      frontOf: (_, peer) => (world.whereSeen.get(peer) === name ? null : (world.whereSeen.get(peer) ?? null)),
      onError: (error) => this.errors.push(error),
    });
  }
}

/** A device's connection. */
interface Line extends RelayConnection {
  readonly channel: { open: boolean; queued_bytes: number };
}

export class FarWorld {
  readonly fronts = new Map<string, FarFront>();
  readonly devices = new Map<string, FarDevice>();
  /** Where devices are, as all processes see it. */
  readonly whereSeen = new Map<string, string>();
  readonly clock: Clock;
  lines = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  front(name: string, bus: Bus): FarFront {
    const front = new FarFront(this, name, bus, this.clock);
    this.fronts.set(name, front);
    return front;
  }

  device(index: number): FarDevice {
    const key = index.toString(16).padStart(64, '0');
    const device = new FarDevice(this, key);
    this.devices.set(key, device);
    return device;
  }

  /** A process vanishes with all connections: nobody is told. */
  vanish(name: string): void {
    const front = this.fronts.get(name)!;
    this.fronts.delete(name);
    front.relay.close();
    for (const device of this.devices.values()) if (device.front === front) device.lost();
  }

  seen(device: FarDevice): void {
    const name = device.front?.name;
    this.clock.setTimeout(() => {
      if (device.front?.name !== name) return;
      if (name === undefined) this.whereSeen.delete(device.key);
      else this.whereSeen.set(device.key, name);
    }, PRESENCE_LAG_MS);
  }
}

export class FarDevice {
  readonly key: string;
  front: FarFront | null = null;
  line: Line | null = null;
  readonly sent = new Map<string, Sent>();
  /** By sender: the numbers of frames that came, and of those that were taken. */
  readonly got = new Map<string, Set<number>>();
  readonly took = new Map<string, Set<number>>();
  readonly waiting: { readonly from: string; readonly number: number }[] = [];
  readonly losses: string[] = [];
  readonly #world: FarWorld;

  constructor(world: FarWorld, key: string) {
    this.#world = world;
    this.key = key;
  }

  connect(front: FarFront): void {
    if (this.line) this.disconnect();
    this.front = front;
    const line: Line = {
      ...{ number: String(this.#world.lines++), peer: this.key, run: RUN },
      channel: { open: true, queued_bytes: 0 },
      tell: (message) => {
        if (this.line === line) this.#hear(message);
      },
    };
    this.line = line;
    front.connections.add(line);
    this.#world.seen(this);
  }

  disconnect(): void {
    const { front, line } = this;
    if (!front || !line) return;
    this.lost();
    line.channel.open = false;
    front.connections.delete(line);
    front.relay.gone(line);
  }

  /** The connection is lost, and with it all that was under way. */
  lost(): void {
    this.line = null;
    this.front = null;
    for (const to of this.sent.keys()) this.#lose(to);
    this.waiting.length = 0;
    this.#world.seen(this);
  }

  /** @returns whether the window and the connection allow a frame */
  send(to: FarDevice, size_bytes = 1): boolean {
    const sent = this.sent.get(to.key) ?? { last: 100, taken: 100, base: 100 };
    this.sent.set(to.key, sent);
    if (!this.line || sent.last - sent.taken >= RELAY_LIMITS.window_frames) return false;
    sent.last++;
    const sealed = new Uint8Array(size_bytes);
    this.front!.relay.hear(this.line, { type: 'relay', to: to.key, number: sent.last, sealed });
    return true;
  }

  /** Takes the frames that have come first. */
  take(count: number): void {
    for (const { from, number } of this.waiting.splice(0, count)) {
      if (!this.took.has(from)) this.took.set(from, new Set());
      this.took.get(from)!.add(number);
      this.front!.relay.hear(this.line!, { type: 'relay-taken', from, number, opened: true });
    }
  }

  #hear(message: FromHub): void {
    if (message.type === 'relay') this.#arrived(message.from, message.number);
    else if (message.type === 'relay-taken') this.#taken(message.by, message.number);
    else if (message.type === 'relay-lost') {
      this.losses.push(message.code);
      this.#lose(message.to);
    }
  }

  #arrived(from: string, number: number): void {
    const before = this.got.get(from) ?? new Set<number>();
    assert.ok(number > Math.max(0, ...before), `frame ${number} after ${[...before].slice(-3)}`);
    this.got.set(from, before.add(number));
    this.waiting.push({ from, number });
  }

  #taken(by: string, number: number): void {
    const sent = this.sent.get(by)!;
    if (number <= sent.taken) return;
    assert.ok(number <= sent.last, `taken ${number} of ${sent.last}`);
    const other = this.#world.devices.get(by)!;
    assert.ok(other.took.get(this.key)?.has(number), `${number} was taken`);
    for (let n = sent.base + 1; n <= number; n++) assert.ok(other.got.get(this.key)!.has(n), `${n} had come`);
    sent.taken = number;
  }

  #lose(to: string): void {
    const sent = this.sent.get(to);
    if (sent) Object.assign(sent, { taken: sent.last, base: sent.last });
  }
}
