// The devices of this process that serve, as several pools use them: each pool, of this process or another, sees them as if it were their only one.
//
// A device knows one hub. It numbers the requests that have come, and says how many more it takes: each pool is told these numbers of its own requests
// alone, and what others have asked of the device meanwhile takes places from all.
import { ProtocolError } from '../../protocol/errors.ts';
import type { FromServingPeer, Offer } from '../../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../../protocol/serving-messages.ts';
import { DEVICE_LIMITS, type ModelKey, modelKey } from '../serving/devices.ts';
import { LastWords } from '../serving/last-words.ts';
import type { About } from './serving-messages.ts';

/** Leases of one connection of which it is remembered whose they are: all places of sixteen gateways. */
const MOST_LEASES = 1024;

/** A device's connection to this process. */
export interface ServingConnection {
  readonly number: string;
  readonly peer: string | null;
  tell(message: ToServingPeer): void;
  /** Sends what another process has encoded. */
  send(frame: Uint8Array): void;
}

/** Tells a device what is wrong with what it has said. */
export type Refuse = (error: ProtocolError) => void;

/** A pool that uses the devices of this process. */
export interface PoolPort {
  /** What a device says. Throws ProtocolError `malformed`. */
  hear(device: SharedDevice, message: FromServingPeer): void;
  gone(device: SharedDevice): void;
  /** Resolves when it takes more, or nothing any more. */
  room(): Promise<void>;
}

interface SharedLease {
  readonly port: PoolPort;
  /** The device may still write it. */
  runs: boolean;
}

export class SharedDevice {
  readonly connection: ServingConnection;
  readonly refuse: Refuse;
  readonly offers = new Map<ModelKey, Offer>();
  readonly leases = new Map<string, SharedLease>();
  /** Requests that were passed on, and those that the device has not counted in an offer yet, oldest first. */
  sent = 0;
  readonly unheard: { readonly ordinal: number; readonly port: PoolPort; readonly key: ModelKey }[] = [];
  /** How many of each pool's requests it has counted. */
  readonly #heard = new Map<PoolPort, number>();

  constructor(connection: ServingConnection, refuse: Refuse) {
    this.connection = connection;
    this.refuse = refuse;
  }

  /** The device has counted its first requests. */
  counted(requests: number): void {
    while (this.unheard.length > 0 && this.unheard[0].ordinal < requests) {
      const { port } = this.unheard.shift()!;
      this.#heard.set(port, (this.#heard.get(port) ?? 0) + 1);
    }
  }

  /** Its offer, as one pool has to understand it. */
  offerTo(port: PoolPort, key: ModelKey): Offer {
    const offer = this.offers.get(key)!;
    const others = this.unheard.filter((one) => one.key === key && one.port !== port).length;
    return { ...offer, heard: this.#heard.get(port) ?? 0, places: Math.max(0, offer.places - others) };
  }

  forget(port: PoolPort): void {
    this.#heard.delete(port);
  }
}

export class SharedDevices {
  readonly #devices = new Map<string, SharedDevice>();
  readonly #ports = new Set<PoolPort>();
  readonly #lastWords = new LastWords();

  /** What a device says; it is not heard further before a pool that takes it in has room. Rejects with ProtocolError `malformed`. */
  async hear(connection: ServingConnection, message: FromServingPeer, refuse: Refuse): Promise<void> {
    if (message.type === 'offer') {
      this.#offered(connection, message, refuse);
      return;
    }
    const { number } = connection;
    const device = this.#devices.get(number);
    await device?.leases.get(message.lease)?.port.room();
    const lease = device?.leases.get(message.lease);
    if (!device || !lease) {
      this.#lastWords.hear(number, message.lease);
      return;
    }
    if (isLast(message)) lease.runs = false;
    lease.port.hear(device, message);
  }

  gone({ number }: ServingConnection): void {
    const device = this.#devices.get(number);
    if (!device) return;
    this.#devices.delete(number);
    this.#lastWords.gone(number);
    for (const port of this.#ports) port.gone(device);
  }

  /** A pool begins to use these devices. */
  add(port: PoolPort): void {
    this.#ports.add(port);
    for (const device of this.#devices.values()) {
      for (const key of device.offers.keys()) port.hear(device, device.offerTo(port, key));
    }
  }

  /** A pool is gone: devices stop what they do for it. */
  remove(port: PoolPort): void {
    this.#ports.delete(port);
    for (const device of this.#devices.values()) {
      const { connection, leases } = device;
      for (const [lease, { port: whose, runs }] of [...leases]) {
        if (whose !== port) continue;
        leases.delete(lease);
        this.#lastWords.ended(connection.number, lease);
        if (runs) connection.tell({ type: 'answer-stop', lease, why: 'gateway-gone' });
      }
      device.forget(port);
    }
  }

  /** A pool refuses what a device has said, if it is still there. */
  refuse(number: string, error: ProtocolError): void {
    this.#devices.get(number)?.refuse(error);
  }

  /** Passes on what a pool tells a device. @param send does it */
  tell(port: PoolPort, number: string, { begins, asks }: About, send: (to: ServingConnection) => void): void {
    const device = this.#devices.get(number);
    if (!device) return; // its pool is about to hear that it is gone
    if (begins !== null) {
      device.leases.set(begins, { port, runs: true });
      if (device.leases.size > MOST_LEASES) device.leases.delete(device.leases.keys().next().value!);
    }
    if (asks !== null) device.unheard.push({ ordinal: device.sent++, port, key: asks });
    send(device.connection);
    if (asks === null || !device.offers.has(asks)) return;
    for (const other of this.#ports) if (other !== port) other.hear(device, device.offerTo(other, asks));
  }

  #offered(connection: ServingConnection, offer: Offer, refuse: Refuse): void {
    const device = this.#devices.get(connection.number) ?? new SharedDevice(connection, refuse);
    if (offer.heard > device.sent) {
      throw new ProtocolError('malformed', `offer: heard ${offer.heard} requests, ${device.sent} were sent`);
    }
    this.#devices.set(connection.number, device);
    device.counted(offer.heard);
    const key = modelKey(offer);
    device.offers.delete(key);
    device.offers.set(key, offer);
    // Which model makes room pools decide by themselves; the oldest is the one that a device offers no more.
    if (device.offers.size > DEVICE_LIMITS.offers) device.offers.delete(device.offers.keys().next().value!);
    for (const port of this.#ports) port.hear(device, device.offerTo(port, key));
  }
}

/** Whether a device writes no more of a lease after this. */
const isLast = ({ type }: FromServingPeer): boolean =>
  type === 'answer-ended' || type === 'answer-failed' || type === 'embed-ended' || type === 'judged';
