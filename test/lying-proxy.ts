// A hub as somebody in between would like it to be: passes everything on, and changes entries of the log on the way.
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { decodeEntryBundle, encodeEntryBundle, parseTilePath, TILE_WIDTH } from '../src/ledger/tiles.ts';

export interface LyingProxy {
  readonly url: string;
  close(): Promise<void>;
}

/** @param change gets every entry with its place, and gives back the bytes that are served instead */
export async function lyingProxy(
  hub: string,
  change: (entry: Uint8Array, index: number) => Uint8Array,
): Promise<LyingProxy> {
  const { hostname, port } = new URL(hub);
  const changed = (path: string, bytes: Uint8Array): Uint8Array => {
    if (!path.startsWith('/log/tile/entries/')) return bytes;
    const tile = parseTilePath(path.slice('/log/'.length));
    const first = tile.index * TILE_WIDTH;
    return encodeEntryBundle(decodeEntryBundle(bytes, tile.width).map((entry, i) => change(entry, first + i)));
  };
  const server: Server = createServer(async (request, response) => {
    const answer = await fetch(hub + request.url, { headers: { accept: request.headers.accept ?? '*/*' } });
    const bytes = changed(request.url!, new Uint8Array(await answer.arrayBuffer()));
    const headers = Object.fromEntries(
      [...answer.headers].filter(([name]) => !/^(content-(encoding|length)|transfer-encoding|connection)$/.test(name)),
    );
    response.writeHead(answer.status, headers).end(bytes);
  });
  server.on('upgrade', (request, socket, head) => {
    const onward = connect(Number(port), hostname, () => {
      const headers = request.rawHeaders.flatMap((text, i, all) => (i % 2 === 0 ? [`${text}: ${all[i + 1]}`] : []));
      onward.write(`GET ${request.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
      onward.write(head);
      socket.pipe(onward).pipe(socket);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
