// WebSockets to a hub on Node.
import WebSocket from 'ws';
import { webSocketChannel } from '../protocol/channel.ts';
import { systemClock } from '../protocol/clock.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import type { Transport } from './connection.ts';
import { answersHttp } from './find-run.ts';

/** WebSockets to the hub at an address, on this machine's clock. */
export function webSockets(url: string): Transport {
  const target = `${url.replace(/^http/, 'ws')}/ws`;
  const options = { maxPayload: WIRE_LIMITS.message_bytes, handshakeTimeout: 10_000 };
  return {
    dial: () => webSocketChannel(new WebSocket(target, options)),
    clock: systemClock,
    random: Math.random,
    answersHttp: () => answersHttp(url),
  };
}
