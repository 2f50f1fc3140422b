// Serving among the processes of a hub: a gateway dials every front end, and its pool hears the devices there as it hears its own.
//
// Where a link ends, its devices are gone for the pool, and what they wrote others go on with; it is dialled again, and they come back with their offers.
import type { Clock, Timer } from '../../protocol/clock.ts';
import { encodeMessage } from '../../protocol/encode-message.ts';
import { ProtocolError } from '../../protocol/errors.ts';
import { decodeFromPeer } from '../../protocol/from-peer.ts';
import { type FromServingPeer, isServing } from '../../protocol/serving-from-peer.ts';
import type { ToServingPeer } from '../../protocol/serving-messages.ts';
import type { PoolConnection } from '../serving/devices.ts';
import type { Pool } from '../serving/pool.ts';
import type { Link, Links } from './links.ts';
import type { Front } from './others.ts';
import { aboutOf, decodeFromFront, decodeFromGateway, encodeServing } from './serving-messages.ts';
import {
  type PoolPort,
  type Refuse,
  type ServingConnection,
  type SharedDevice,
  SharedDevices,
} from './shared-devices.ts';

/** How often a gateway looks for front ends that it has no link to. */
const LOOK_MS = 500;

export interface FarServingOptions {
  /** This process's own name, and where it is; null: not said. */
  readonly own: { readonly instance: string; readonly region: string | null };
  readonly links: Links;
  readonly clock: Clock;
  /** All processes that are there. */
  fronts(): readonly Front[];
  /** The pool of this process, if callers may ask it. */
  readonly pool: Pick<Pool, 'hear' | 'gone'> | null;
}

/** What becomes of what the devices of this process say. */
export interface FarServing {
  /** Rejects with ProtocolError `malformed`. @param refuse for what a pool at another process finds wrong with it later */
  hear(connection: ServingConnection, message: FromServingPeer, refuse: Refuse): Promise<void>;
  gone(connection: ServingConnection): void;
  close(): void;
}

export function openFarServing(options: FarServingOptions): FarServing {
  const { links, pool } = options;
  const devices = new SharedDevices();
  if (pool) devices.add(nearPort(pool, devices));
  lendDevices(devices, options);
  const gateway = pool ? borrowDevices(pool, options) : null;
  return {
    hear: (connection, message, refuse) => devices.hear(connection, message, refuse),
    gone: (connection) => devices.gone(connection),
    close() {
      gateway?.close();
      links.close();
    },
  };
}

/** The pool of the same process. */
function nearPort(pool: Pick<Pool, 'hear' | 'gone'>, devices: SharedDevices): PoolPort {
  const connections = new Map<SharedDevice, PoolConnection>();
  const port: PoolPort = {
    hear(device, message) {
      const { number, peer } = device.connection;
      const tell = (told: ToServingPeer): void => devices.tell(port, number, aboutOf(told), (to) => to.tell(told));
      const connection = connections.get(device) ?? { number, peer, tell };
      connections.set(device, connection);
      pool.hear(connection, message);
    },
    gone(device) {
      const connection = connections.get(device);
      connections.delete(device);
      if (connection) pool.gone(connection);
    },
    room: async () => {},
  };
  return port;
}

/** Lets gateways of other processes use the devices of this one. */
function lendDevices(devices: SharedDevices, { links }: FarServingOptions): void {
  const ports = new Map<Link, PoolPort>();
  links.listen({
    onOpen(link) {
      const port: PoolPort = {
        hear({ connection: { number, peer } }, message) {
          link.send(encodeServing({ type: 'said', connection: number, peer: peer! }, encodeMessage(message)));
        },
        gone: ({ connection }) => link.send(encodeServing({ type: 'gone', connection: connection.number })),
        room: () => link.room(),
      };
      ports.set(link, port);
      devices.add(port);
    },
    onMessage(link, bytes) {
      const { head, rest } = decodeFromGateway(bytes);
      const port = ports.get(link);
      if (!port) return;
      if (head.type === 'refused') {
        devices.refuse(head.connection, new ProtocolError('malformed', head.message));
        return;
      }
      devices.tell(port, head.connection, head.about, (to) => to.send(rest));
    },
    onEnd(link) {
      const port = ports.get(link);
      ports.delete(link);
      if (port) devices.remove(port);
    },
  });
}

/** Has the pool of this process use the devices of others. */
function borrowDevices(
  pool: Pick<Pool, 'hear' | 'gone'>,
  { own, links, clock, fronts }: FarServingOptions,
): { close(): void } {
  const dialled = new Map<string, Link>();
  let so_far = 0;
  let timer: Timer;
  const dial = ({ instance, region }: Front): Link => {
    const away = own.region !== null && region !== own.region;
    const connections = new Map<string, PoolConnection>();
    return links.dial(instance, {
      onMessage(link, bytes) {
        const { head, rest } = decodeFromFront(bytes);
        const known = connections.get(head.connection);
        if (head.type === 'gone') {
          connections.delete(head.connection);
          if (known) pool.gone(known);
          return;
        }
        const connection = known ?? farConnection(link, head.connection, { number: so_far++, peer: head.peer, away });
        connections.set(head.connection, connection);
        try {
          const message = decodeFromPeer(rest);
          if (isServing(message)) pool.hear(connection, message);
        } catch (error) {
          if (!(error instanceof ProtocolError)) throw error;
          const refused = { connection: head.connection, message: error.message.slice(0, 2000) };
          link.send(encodeServing({ type: 'refused', ...refused }));
        }
      },
      onEnd(link) {
        if (dialled.get(instance) === link) dialled.delete(instance);
        for (const connection of connections.values()) pool.gone(connection);
        connections.clear();
      },
    });
  };
  const look = (): void => {
    timer = clock.setTimeout(look, LOOK_MS);
    for (const front of fronts()) {
      const { instance, url } = front;
      if (instance !== own.instance && url !== null && !dialled.has(instance)) dialled.set(instance, dial(front));
    }
  };
  look();
  return { close: () => clock.clearTimeout(timer) };
}

/** A device at another process, as a pool sees it. @param number no other connection has had it */
function farConnection(
  link: Link,
  at: string,
  { number, peer, away }: { readonly number: number; readonly peer: string; readonly away: boolean },
): PoolConnection {
  return {
    ...{ number: `far ${number}`, peer, away },
    tell: (message) =>
      link.send(encodeServing({ type: 'tell', connection: at, about: aboutOf(message) }, encodeMessage(message))),
  };
}
