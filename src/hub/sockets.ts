// A hub's server and its sockets: when sockets run out, quiet ones are closed, so that strangers with many of them cannot block others.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Hono } from 'hono';
import { HubError } from './errors.ts';

const SOCKET_LIMITS = {
  headers_ms: 10_000, // from the connection until the request's headers are complete
  look_every_ms: 2000, // with Node's default of 30 s they could stay three times as long
  keep_alive_ms: 5000,
  last_words_ms: 200, // for answers that are being written when the hub ends
  spare: 16, // sockets that are still being closed
} as const;

/**
 * A server without a limit on a whole request: Node's default ends one after 300 s, however well it moves, and a large model on a slow line
 * takes longer. A request that is silent for `silence_ms` is ended; beyond `most_sockets` the least recently active socket is closed.
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

/** Closes the quietest sockets beyond a number. Those that carry a blob, and WebSockets, have limits of their own. */
function makeRoom(server: Server, most_sockets: number): void {
  const all = new Set<Socket>();
  /** The sockets that may be closed; the most recently active one is last. */
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

/** The length of the accept queue. If a thousand clients come at once and it is full, some of them would retry only seconds later. */
const BACKLOG = 4096;

/**
 * Resolves to the address, as a URL, when it listens. `port` 0: any free one; `option` is the one with which another can be chosen. Throws HubError
 * `port-taken`, `bad-folder`.
 */
export function listen(server: Server, host: string, port: number, option = '--port'): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        reject(new HubError('port-taken', `port ${port} on ${host} is taken; choose another with ${option}`, { port }));
      } else reject(new HubError('bad-folder', `cannot listen on ${host}:${port}: ${error.message}`));
    });
    server.listen({ port, host, backlog: BACKLOG }, () => {
      const { family, address, port: taken } = server.address() as AddressInfo;
      resolve(`http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`);
    });
  });
}

/** Closes all connections, those that are being answered a moment later, so that a stream can say why it ends; resolves when the port is free. */
export function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const force = setTimeout(() => server.closeAllConnections(), SOCKET_LIMITS.last_words_ms);
    server.close(() => {
      clearTimeout(force);
      resolve();
    });
    server.closeIdleConnections();
  });
}
