// Ports for programs that cannot be asked which one they took: those of the loopback that nobody listened on a moment ago.
import { once } from 'node:events';
import { createServer } from 'node:net';

/** All are held at once, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const held = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(held.map((server) => once(server, 'listening')));
  const ports = held.map((server) => (server.address() as { port: number }).port);
  await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
