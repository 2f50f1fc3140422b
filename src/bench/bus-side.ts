// One side of what bench bus measures: a process of a hub on the bus, with a relay. As a program (`node bus-side.ts URL`) it is the other side.

import { type FarRelay, openFarRelay } from '../hub/cluster/far-relay.ts';
import { type NatsBus, openNatsBus } from '../hub/cluster/nats-bus.ts';
import { NO_RELAY_COUNTS, openRelay, type RelayConnection } from '../hub/relay.ts';
import { systemClock } from '../protocol/clock.ts';
import type { FromHub } from '../protocol/from-hub.ts';
import { RELAY_LIMITS } from '../protocol/relay-messages.ts';

export const RUN = 'a'.repeat(64);
export const SUBJECTS = { ask: 'bench.ask', publish: 'bench.publish' } as const;
/** What a leader answers, about. */
const ANSWER_BYTES = 900;
export const keyOf = (side: 'here' | 'there', index: number): string =>
  `${side === 'here' ? '1' : '2'}${index.toString(16).padStart(63, '0')}`;

/** Processor time and messages so far. */
export interface Usage {
  readonly cpu_us: number;
  readonly heard: number;
  readonly frames: number;
}

export const cpuNow = (): number => {
  const { user, system } = process.cpuUsage();
  return user + system;
};

export interface Side {
  readonly bus: NatsBus;
  /** A device's connection to this process. */
  connect(peer: string, tell: (message: FromHub) => void): RelayConnection;
  readonly relay: FarRelay;
}

export async function openSide(url: string, side: 'here' | 'there'): Promise<Side> {
  const bus = await openNatsBus({ servers: [url], name: `bench ${side}`, onError: console.error });
  const connections = new Map<string, RelayConnection>();
  const withKey = (_: string, peer: string): RelayConnection[] => {
    const found = connections.get(peer);
    return found ? [found] : [];
  };
  const members = { takesPart: () => true, isKnown: () => true, counts: NO_RELAY_COUNTS };
  const other = side === 'here' ? 'there' : 'here';
  const relay = openFarRelay({
    ...{ own: side, bus, clock: systemClock, subject: (front) => `bench.relay.${front}`, ...members },
    near: openRelay({ withKey, ...members }),
    isHere: (_, peer) => connections.has(peer),
    frontOf: (_, peer) => (connections.has(peer) ? null : other),
    onError: console.error,
  });
  return {
    bus,
    relay,
    connect(peer, tell) {
      const number = String(connections.size);
      const connection = { number, peer, run: RUN, channel: { open: true, queued_bytes: 0 }, tell };
      connections.set(peer, connection);
      return connection;
    },
  };
}

/** Answers, listens, and takes every frame at once. */
async function beOtherSide(url: string): Promise<void> {
  const { bus, relay, connect } = await openSide(url, 'there');
  let [heard, frames] = [0, 0];
  const answer = new Uint8Array(ANSWER_BYTES);
  bus.serve(SUBJECTS.ask, 'bench', async () => answer);
  bus.subscribe(SUBJECTS.publish, () => heard++);
  for (let i = 0; i < RELAY_LIMITS.partners; i++) {
    const device = connect(keyOf('there', i), (message) => {
      if (message.type !== 'relay') return;
      frames++;
      relay.hear(device, { type: 'relay-taken', from: message.from, number: message.number, opened: true });
    });
  }
  await bus.flushed();
  process.on('message', () => process.send!({ cpu_us: cpuNow(), heard, frames } satisfies Usage));
  process.on('disconnect', () => process.exit());
  process.send!('ready');
}

if (import.meta.main) await beOtherSide(process.argv[2]);
