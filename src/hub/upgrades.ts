// How a request for a WebSocket becomes a connection, or is refused.
import type { IncomingMessage, Server } from 'node:http';
import { WebSocketServer } from 'ws';
import { type Channel, inOnePiece, webSocketChannel } from '../protocol/channel.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import type { AddressOf } from './askers.ts';
import { HubError } from './errors.ts';
import type { Origins } from './origins.ts';
import { PeerSocket } from './peer-socket.ts';
import type { RateLimits } from './rate-limits.ts';

export interface UpgradeOptions {
  /** The most connections that are accepted. */
  readonly most_connections: number;
  readonly count: () => number;
  readonly origins: Origins;
  readonly rates: RateLimits;
  /** Gets the code of every refusal that has one. */
  onRefused(code: string): void;
}

/** The answer to a request that gets no WebSocket: a status line, maybe a header; null where it gets one. */
export function refusalOfUpgrade(
  { url, headers }: Pick<IncomingMessage, 'url' | 'headers'>,
  address: string | null,
  { most_connections, count, origins, rates, onRefused }: UpgradeOptions,
): string | null {
  if (url?.split('?')[0] !== '/ws') return '404 Not Found';
  if (count() >= most_connections) return '503 Service Unavailable';
  try {
    origins.check(headers);
    rates.take('connection_address', address);
    return null;
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    onRefused(error.code);
    if (!error.is('too-fast')) return '403 Forbidden';
    return `429 Too Many Requests\r\nretry-after: ${error.details.retry_after_s}`;
  }
}

/** Accepts WebSockets on a server. Closing it accepts no more; open ones stay. */
export function takeUpgrades(
  server: Server,
  options: UpgradeOptions & { readonly addressOf: AddressOf; accept(channel: Channel, address: string | null): void },
): { close(): void } {
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: WIRE_LIMITS.from_peer_bytes,
    // Handles one message of each connection in turn, so that a flooding connection does not block the others.
    allowSynchronousEvents: false,
    WebSocket: PeerSocket,
  });
  server.on('upgrade', (request, socket, head) => {
    const address = options.addressOf(request);
    const refusal = refusalOfUpgrade(request, address, options);
    if (refusal) {
      socket.on('error', () => {}); // the client may be gone already
      socket.end(`HTTP/1.1 ${refusal}\r\nconnection: close\r\n\r\n`);
      return;
    }
    // The answer and the first message: `ws` calls back before it returns.
    inOnePiece(socket, () =>
      sockets.handleUpgrade(request, socket, head, (webSocket) =>
        options.accept(webSocketChannel(webSocket, socket), address),
      ),
    );
  });
  return { close: () => sockets.close() };
}
