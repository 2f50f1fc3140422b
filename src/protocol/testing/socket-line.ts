// A server that accepts WebSockets as a hub does, for channel-compliance.ts.
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { type Channel, webSocketChannel } from '../channel.ts';
import type { LineUnderTest } from './channel-compliance.ts';

/** @param dial opens a channel to the hub at an address */
export async function socketLine(dial: (url: string) => Channel): Promise<LineUnderTest> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    dial(onAccepted) {
      server.once('connection', (socket) => onAccepted(webSocketChannel(socket)));
      return dial(url);
    },
    dialNobody: () => dial('http://127.0.0.1:1'), // no service is there, and no program may be given that port by chance
    deafen() {
      for (const client of server.clients) client.pause();
    },
    pass: () => new Promise((resolve) => setTimeout(resolve, 1)),
    async close() {
      for (const client of server.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}
