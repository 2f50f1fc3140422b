// WebSockets to a hub on Node.
import WebSocket from 'ws';
import { webSocketChannel } from '../protocol/channel.ts';
import { systemClock } from '../protocol/clock.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import type { Transport } from './connection.ts';
import { answersHttp } from './find-run.ts';
import { type Fronts, openFronts } from './fronts.ts';

const HANDSHAKE_MS = 10_000;
/** Where there is another process to go to, one that stands still is not waited for: a device has to be back before its leave is written. */
const HANDSHAKE_OF_SEVERAL_MS = 3000;
const PINGS_OF_SEVERAL = { every_ms: 2000, unanswered: 2 } as const;

/** WebSockets to a hub, on this machine's clock: at the nearest of its processes, and at another when that one's connection has ended. */
export function webSockets(hub: string | Fronts): Transport {
  const fronts = typeof hub === 'string' ? openFronts({ url: hub }) : hub;
  let dialled = false;
  return {
    dial() {
      if (dialled) fronts.failed();
      dialled = true;
      const target = `${fronts.choose().replace(/^http/, 'ws')}/ws`;
      if (typeof hub !== 'string') void fronts.measure(); // for the next time
      const handshakeTimeout = fronts.several ? HANDSHAKE_OF_SEVERAL_MS : HANDSHAKE_MS;
      return webSocketChannel(new WebSocket(target, { maxPayload: WIRE_LIMITS.message_bytes, handshakeTimeout }));
    },
    clock: systemClock,
    random: Math.random,
    answersHttp: () => answersHttp(fronts.url),
    pings: () => (fronts.several ? PINGS_OF_SEVERAL : null),
  };
}
