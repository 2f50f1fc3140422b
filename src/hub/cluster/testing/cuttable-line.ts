// A TCP line to a port of this machine that a test cuts and mends: what is cut stands still, as where a network loses every packet.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface CuttableLine {
  /** Where it listens, on this machine. */
  readonly port: number;
  /** Nothing passes any more, and nobody is told. */
  cut(): void;
  /** Ends what was cut; new connections pass. */
  mend(): void;
  close(): void;
}

export async function openCuttableLine(to_port: number): Promise<CuttableLine> {
  const sockets = new Set<Socket>();
  let isCut = false;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {}); // its other end hears of it
    socket.on('close', () => sockets.delete(socket));
  };
  const drop = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((from) => {
    keep(from);
    if (isCut) return void from.pause();
    const to = connect(to_port, '127.0.0.1');
    keep(to);
    from.pipe(to).pipe(from);
    from.on('close', () => to.destroy());
    to.on('close', () => from.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      isCut = true;
      for (const socket of sockets) {
        socket.unpipe();
        socket.pause();
      }
    },
    mend() {
      isCut = false;
      drop();
    },
    close() {
      server.close();
      drop();
    },
  };
}
