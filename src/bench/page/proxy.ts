// A proxy between the browser and the hub: it counts what the page fetches, and delays chosen requests.
import { createServer, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';

export interface Fetched {
  readonly path: string;
  readonly size_bytes: number;
}

/** Whether a path is a file of the page; data of the run does not count. */
const ofThePage = (path: string): boolean => /^\/(assets\/.*|r\/.*)?$/.test(path);

/** A hub's address through a proxy that records the browser's requests. */
export interface WatchingProxy {
  readonly url: string;
  /** What was fetched of the page since the last call. */
  take(): Fetched[];
  /** Requests that fit get no answer until the returned function is called. */
  hold(fits: (method: string, path: string) => boolean): () => void;
  close(): void;
}

/** Starts a proxy in front of the hub. Files that it has not seen came from the browser's cache. */
export async function watchingProxy(target: string): Promise<WatchingProxy> {
  const { hostname, port } = new URL(target);
  let seen: { path: string; size_bytes: number }[] = [];
  let held: { fits: (method: string, path: string) => boolean; over: Promise<void> } | null = null;
  const server = createServer(async (asked, answer) => {
    const { pathname: path } = new URL(asked.url!, target);
    const fetched = { path, size_bytes: 0 };
    if (ofThePage(path)) seen.push(fetched);
    const { method, url, headers } = asked;
    if (held?.fits(method!, path)) await held.over;
    const passed = request({ hostname, port, method, path: url, headers }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.on('data', (part: Buffer) => {
        fetched.size_bytes += part.length;
      });
      response.pipe(answer);
    });
    passed.on('error', () => answer.destroy()); // a browser that closes ends what it had asked for
    asked.pipe(passed);
  });
  server.on('upgrade', (asked, socket, head) => {
    const hub = connect(Number(port), hostname, () => {
      const headers = asked.rawHeaders.flatMap((name, i, all) => (i % 2 === 0 ? [`${name}: ${all[i + 1]}`] : []));
      hub.write(`${asked.method} ${asked.url} HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`);
      hub.write(head);
      socket.pipe(hub).pipe(socket);
    });
    hub.on('error', () => socket.destroy());
    socket.on('error', () => hub.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    hold(fits) {
      let end = () => {};
      held = {
        fits,
        over: new Promise((resolve) => {
          end = resolve;
        }),
      };
      return () => {
        held = null;
        end();
      };
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
