// A hub's server and its sockets: when they run out, those that keep quiet make room, so that strangers who hold many stop nobody.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { HubError } from './errors.ts';

const SOCKET_LIMITS = {
  headers_ms: 10_000, // from the first moment until somebody has said what is wanted
  look_every_ms: 2000, // Node's own 30 s would let them stay three times as long
  keep_alive_ms: 5000,
  spare: 16, // sockets that are still being closed
} as const;

/**
 * A server without a limit on a whole request: Node ends one that takes 300 s, however well it moves, and a large model on a slow line takes
 * longer. What is silent for `silence_ms` is ended, and of more than `most_sockets` the one that has asked for nothing for the longest.
 */
export function serverOf(app: Hono, silence_ms: number, most_sockets: number): Server {
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      requestTimeout: 0,
      headersTimeout: SOCKET_LIMITS.headers_ms,
      connectionsCheckingInterval: SOCKET_LIMITS.look_every_ms,
      keepAliveTimeout: SOCKET_LIMITS.keep_alive_ms,
    },
  }) as Server;
  server.setTimeout(silence_ms);
  server.maxConnections = most_sockets;
  makeRoom(server, Math.max(1, most_sockets - SOCKET_LIMITS.spare));
  return server;
}

/** Ends the quietest sockets beyond a number. Those that carry a blob have places of their own, WebSockets a number of theirs. */
function makeRoom(server: Server, most_sockets: number): void {
  const all = new Set<Socket>();
  /** Those that may go; the one that has asked last at the end. */
  const quiet = new Set<Socket>();
  const stir = (socket: Socket): void => {
    quiet.delete(socket);
    quiet.add(socket);
  };
  server.on('connection', (socket: Socket) => {
    all.add(socket);
    quiet.add(socket);
    socket.once('close', () => {
      all.delete(socket);
      quiet.delete(socket);
    });
    for (const one of quiet) {
      if (all.size <= most_sockets || one === socket) return;
      all.delete(one);
      quiet.delete(one);
      one.destroy();
    }
  });
  server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    stir(socket);
    if (!request.url?.startsWith('/blobs/')) return;
    quiet.delete(socket);
    response.once('close', () => {
      if (all.has(socket)) stir(socket);
    });
  });
  server.prependListener('upgrade', ({ socket }: IncomingMessage) => quiet.delete(socket));
}

/** Connections that wait to be taken. Where a thousand come at once and there is no room, whoever comes among them tries again only seconds later. */
const BACKLOG = 4096;

/** Resolves with the address, as a URL, when it listens. `port` 0: any free one. Throws HubError `port-taken`, `bad-folder`. */
export function listen(server: Server, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(new HubError('port-taken', `port ${port} on ${host} is taken; choose another with --port`, { port }));
      } else reject(new HubError('bad-folder', `cannot listen on ${host}:${port}: ${error.message}`));
    });
    server.listen({ port, host, backlog: BACKLOG }, () => {
      const { family, address, port: taken } = server.address() as AddressInfo;
      resolve(`http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`);
    });
  });
}

/** Ends whatever is still open; resolves when the port is free. */
export function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
