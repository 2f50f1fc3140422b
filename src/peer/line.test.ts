// Lines that are slow, silent or broken: a limit on silence instead of on the whole, and nothing that has come is asked for twice.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { hubBlobs } from '../audit/public-log-http.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { openPeerBlobs, type PeerBlobs, type Transfer, transferTeller } from './blobs.ts';

const HUB = 'b'.repeat(64);
const identity = createIdentity();
const blob = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7919) >> 5);
const hash = sha256Hex(blob);

let http: (request: IncomingMessage, response: ServerResponse) => void;
let server: Server;
let url: string;
let blobs: PeerBlobs;
let told: Transfer[];

beforeEach(async () => {
  server = createServer((request, response) => http(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  told = [];
});
afterEach(async () => {
  blobs?.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const open = (options: { silence_ms?: number; patient?: boolean } = {}): PeerBlobs => {
  const cache = { get: async () => null, put: async () => {} };
  const onTransfer = (transfer: Transfer): void => void told.push(transfer);
  blobs = openPeerBlobs({ url, hub: HUB, identity, cache, first_wait_ms: 1, silence_ms: 5000, onTransfer, ...options });
  return blobs;
};

/** Begins an answer as a server with ranges does, and gives the bytes that are asked for. */
function ranged(request: IncomingMessage, response: ServerResponse, of = blob): Uint8Array {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  response.setHeader('content-length', of.length - start);
  if (start > 0) {
    response.statusCode = 206;
    response.setHeader('content-range', `bytes ${start}-${of.length - 1}/${of.length}`);
  }
  return of.subarray(start);
}

const unreachable = (message: RegExp) => (error: unknown) =>
  error instanceof PeerError && error.code === 'hub-unreachable' && message.test(error.message);

describe('fetching', () => {
  test('a line that is slow is not a dead one: the whole takes many times the limit on silence', async () => {
    let requests = 0;
    http = (_, response) => {
      requests++;
      response.setHeader('content-length', blob.length);
      let at = 0;
      const more = setInterval(() => {
        response.write(blob.subarray(at, at + 8000));
        at += 8000;
        if (at >= blob.length) {
          clearInterval(more);
          response.end();
        }
      }, 40);
    };
    const begun_ms = performance.now();
    assert.deepEqual(await open({ silence_ms: 500 }).fetch(hash), blob);
    assert.equal(requests, 1);
    assert.ok(performance.now() - begun_ms > 900);
  });

  test('a line that breaks again and again brings all of it, and no byte twice', async () => {
    let sent_bytes = 0;
    let requests = 0;
    http = (request, response) => {
      requests++;
      const part = ranged(request, response).subarray(0, 15_000);
      sent_bytes += part.length;
      response.write(part, () => setTimeout(() => response.destroy(), 5));
    };
    assert.deepEqual(await open().fetch(hash), blob);
    assert.equal(sent_bytes, blob.length);
    assert.equal(requests, 14, 'more than the attempts that a line without a new byte gets');
  });

  test('a line that falls silent is tried again from where it was, and the error says how far it came', async () => {
    let asked: (string | undefined)[] = [];
    http = (request, response) => {
      asked.push(request.headers.range);
      const rest = ranged(request, response);
      if (asked.length === 1) response.write(rest.subarray(0, 100_000));
      else if (asked.length === 3) response.end(rest);
    };
    assert.deepEqual(await open({ silence_ms: 300 }).fetch(hash), blob);
    assert.deepEqual(asked, [undefined, 'bytes=100000-', 'bytes=100000-']);
    const transfer = { direction: 'down', hash, total_bytes: 200_000 };
    const trouble = 'no byte came for 0.3 s';
    assert.deepEqual(told, [
      { ...transfer, done_bytes: 100_000, trouble },
      { ...transfer, done_bytes: 100_000, trouble },
      { ...transfer, done_bytes: 200_000, trouble: null },
    ]);
    asked = [];
    http = (request, response) => {
      asked.push(request.headers.range);
      response.write(ranged(request, response).subarray(0, asked.length === 1 ? 120_000 : 0));
    };
    const reason = /broke off 4 times in the same place, after 0\.1 of 0\.2 MB: no byte came for 0\.3 s/;
    await assert.rejects(() => open({ silence_ms: 300 }).fetch(hash), unreachable(reason));
    assert.equal(asked.length, 5);
  });

  test('a server without ranges sends the whole again', async () => {
    let requests = 0;
    http = (_, response) => {
      response.setHeader('content-length', blob.length);
      if (++requests < 3)
        response.write(blob.subarray(0, 50_000 * requests), () => setTimeout(() => response.destroy(), 5));
      else response.end(blob);
    };
    assert.deepEqual(await open().fetch(hash), blob);
    assert.equal(requests, 3);
  });

  test('pieces of different things are asked for once more, as a whole', async () => {
    let requests = 0;
    http = (request, response) => {
      requests++;
      const rest = ranged(request, response, requests === 2 ? blob.map((byte) => byte ^ 1) : blob);
      if (requests === 1) response.write(rest.subarray(0, 90_000), () => setTimeout(() => response.destroy(), 5));
      else response.end(rest);
    };
    assert.deepEqual(await open().fetch(hash), blob);
    assert.equal(requests, 3);
  });

  test('a connection that is made anew ends what hangs, at once', { timeout: 120_000 }, async () => {
    let requests = 0;
    http = (request, response) => {
      const rest = ranged(request, response);
      if (++requests > 1) return response.end(rest);
      response.write(rest.subarray(0, 1000));
      setTimeout(() => blobs.renew(), 150);
    };
    assert.deepEqual(await open({ silence_ms: 1500 }).fetch(hash), blob);
    assert.equal(requests, 2);
  });

  test('a device that takes part goes on trying, also while a proxy says that the hub is away', async () => {
    let requests = 0;
    http = (_, response) => {
      requests++;
      if (requests < 5) response.destroy();
      else if (requests < 10) response.writeHead(502).end('<html>Bad Gateway</html>');
      else response.end(blob);
    };
    // A thousandth of the real waits, but not those after the seventh failure.
    assert.deepEqual(await open({ patient: true }).fetch(hash), blob);
    assert.equal(requests, 10);
    http = (_, response) => response.writeHead(500).end('{"error":{"code":"blob-corrupt","message":"it is damaged"}}');
    await assert.rejects(() => open({ patient: true }).fetch(hash), /it is damaged \(blob-corrupt\)/);
  });

  test('whoever reads a public log gets blobs over a broken line as well', async () => {
    let requests = 0;
    http = (request, response) => {
      const rest = ranged(request, response);
      if (++requests < 3) response.write(rest.subarray(0, 50_000), () => setTimeout(() => response.destroy(), 5));
      else response.end(rest);
    };
    assert.deepEqual(await hubBlobs(url).blob(hash), blob);
  });
});

describe('sending', () => {
  const large = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7919) >> 6);
  const body = async (request: IncomingMessage): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    return Buffer.concat(parts);
  };
  /** A hub that takes parts, on a line that fails as `fails` says of each request. */
  function hub(fails: (request: number, part: Buffer) => 'break' | 'break after' | 'silence' | number | null) {
    const held = { bytes: Buffer.alloc(0), parts: [] as number[], requests: 0 };
    http = async (request, response) => {
      if (request.url === '/uploads') return void response.writeHead(404).end();
      const part = await body(request).catch(() => Buffer.alloc(0));
      const fault = fails(++held.requests, part);
      if (fault === 'break') return void response.destroy();
      if (fault === 'silence') return;
      if (typeof fault === 'number') return void response.writeHead(fault).end('<html>nginx</html>');
      const range = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(String(request.headers['content-range']));
      const start = Number(range?.[1] ?? 0);
      const fits = start === held.bytes.length;
      if (fits) held.bytes = Buffer.concat([held.bytes, part]);
      held.parts.push(part.length);
      if (fault === 'break after') return void response.destroy();
      const whole = held.bytes.length === Number(range?.[3] ?? part.length);
      const status = whole ? 201 : fits ? 202 : 409;
      response.writeHead(status).end(JSON.stringify({ received_bytes: held.bytes.length }));
    };
    return held;
  }

  test('in parts, each answered for itself, and on from what the hub has, whatever breaks', async () => {
    const held = hub((request) => (request === 2 ? 'break' : request === 4 ? 'break after' : null));
    assert.equal(await open().upload(large), sha256Hex(large));
    assert.equal(sha256Hex(held.bytes), sha256Hex(large));
    assert.ok(Math.max(...held.parts) <= 1 << 20);
  });

  test('in smaller parts where they take longer than a silence, or where a proxy lets no large body pass', async () => {
    const slow = hub((_, part) => (part.length > 100_000 ? 'silence' : null));
    await open({ silence_ms: 200 }).upload(large.subarray(0, 250_000));
    assert.ok(Math.max(...slow.parts) <= 65_536);
    const { hash: _, ...last } = told.at(-1)!;
    assert.deepEqual(last, { direction: 'up', done_bytes: 250_000, total_bytes: 250_000, trouble: null });
    const small = hub((_, part) => (part.length > 70_000 ? 413 : null));
    await open().upload(large.subarray(0, 250_000));
    assert.ok(Math.max(...small.parts) <= 65_536);
  });

  test('says who refused it, the hub or something between', async () => {
    hub(() => 413);
    await assert.rejects(() => open().upload(large), {
      code: 'proxy-answered',
      message:
        'something between this device and the hub, a proxy or another program, answered 413 to an upload of 3.0 MB: it lets no body of this size pass',
    });
    http = (request, response) => {
      request.resume();
      response.writeHead(400).end('{"error":{"code":"store-unusable","message":"the disk is full","details":{}}}');
    };
    await assert.rejects(() => open().upload(large), {
      code: 'refused',
      message: 'the hub refused an upload of 3.0 MB: the disk is full (store-unusable)',
      details: { refusal: 'store-unusable', status: 400 },
    });
  });

  test('is not held up for ever by a hub that never has more', { timeout: 120_000 }, async () => {
    http = (request, response) => {
      request.resume();
      response.writeHead(409).end('{"received_bytes": 5}');
    };
    await assert.rejects(() => open().upload(large), { code: 'proxy-answered' });
  });
});

test('people are told every ten seconds, of the same trouble once a minute', () => {
  const said: string[] = [];
  const tell = transferTeller((sentence) => said.push(sentence));
  const going = { direction: 'down', hash, done_bytes: 1_200_000, total_bytes: 3_300_000, trouble: null } as const;
  tell(going);
  assert.deepEqual(said, [], 'not in the first ten seconds');
  for (let i = 0; i < 3; i++) tell({ ...going, trouble: 'no byte came for 30 s' });
  tell({ ...going, done_bytes: 3_300_000 });
  assert.deepEqual(said, [
    'fetching: 1.2 of 3.3 MB, broken off (no byte came for 30 s); going on',
    'fetching: 3.3 of 3.3 MB',
  ]);
});
