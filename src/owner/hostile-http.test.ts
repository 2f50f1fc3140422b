// A hub that lies, floods, hangs or breaks off over HTTP: a peer gives a typed error or tries again, and believes nothing.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, describe, test } from 'node:test';
import { openBlobFolder } from '#blob-folder';
import { openPeerBlobs } from '../peer/blobs.ts';
import { fetchStatus } from '../peer/find-run.ts';
import { sendEvent } from '../peer/send-event.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { WIRE_LIMITS } from '../protocol/messages.ts';
import { PeerError } from '../protocol/peer-errors.ts';
import { takeModel } from './taken-model.ts';

const HUB = 'b'.repeat(64);
const RUN = 'f'.repeat(64);
const identity = createIdentity();
const root = mkdtempSync(join(tmpdir(), 'potluck-hostile-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** Answers as a test says. */
let http: (request: IncomingMessage, response: ServerResponse) => void;
let server: Server;
let url: string;

beforeEach(async () => {
  server = createServer((request, response) => http(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const code =
  (expected: string, message = /./) =>
  (error: unknown) =>
    error instanceof PeerError &&
    error.code === expected &&
    message.test(error.message) &&
    !error.message.includes('\n');

describe('blobs', () => {
  const bytes = new TextEncoder().encode('a blob');
  const hash = sha256Hex(bytes);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(root, 'blobs-'));
  });
  const open = () => openPeerBlobs({ url, hub: HUB, identity, cache: openBlobFolder(folder), first_wait_ms: 1 });

  test('of wrong bytes', async () => {
    http = (_, response) => response.end('another blob');
    await assert.rejects(
      () => open().fetch(hash),
      code('bad-blob', new RegExp(`expected bytes whose SHA-256 is ${hash}, got`)),
    );
    assert.deepEqual(readdirSync(folder), [], 'what is not believed is not kept');
  });

  test('that are too long', async () => {
    http = (_, response) => {
      response.setHeader('content-length', WIRE_LIMITS.blob_bytes + 1);
      response.write('x');
    };
    await assert.rejects(() => open().fetch(hash), code('bad-blob', /expected at most 1073741824 bytes, more came/));
  });

  test('that are not there', async () => {
    http = (_, response) => {
      response.statusCode = 404;
      response.end();
    };
    await assert.rejects(() => open().fetch(hash), code('bad-blob', /answered 404/));
  });

  test('that break off, fail or come right in the end', async () => {
    let asked = 0;
    http = (_, response) => {
      asked++;
      if (asked === 1) {
        response.setHeader('content-length', bytes.length);
        response.write(bytes.subarray(0, 2), () => response.destroy());
      } else if (asked === 2) response.destroy();
      else if (asked === 3) {
        response.statusCode = 500;
        response.end();
      } else response.end(bytes);
    };
    const blobs = open();
    assert.deepEqual(await blobs.fetch(hash), bytes);
    assert.equal(asked, 4);
    assert.deepEqual(await blobs.fetch(hash), bytes);
    assert.equal(asked, 4, 'a blob is fetched once');
    writeFileSync(join(folder, 'blobs', hash), 'damaged');
    assert.deepEqual(await open().fetch(hash), bytes);
    assert.equal(asked, 5, 'a damaged file is fetched again');
  });

  test('of a hub that is gone, and one that hangs until the peer closes', async () => {
    http = (_, response) => response.destroy();
    await assert.rejects(() => open().fetch(hash), code('hub-unreachable', /did not answer 4 times/));
    const blobs = open();
    http = () => blobs.close();
    await assert.rejects(() => blobs.fetch(hash), code('hub-unreachable'));
  });

  test('that the hub will not take', async () => {
    http = (request, response) => {
      request.resume();
      response.statusCode = 429;
      response.end('{"error": {"code": "too-much", "message": "no more"}}');
    };
    await assert.rejects(() => open().upload(bytes), code('refused', /an upload of 6 B: no more \(too-much\)/));
  });
});

describe('answers', () => {
  const answers: [string, (response: ServerResponse) => void][] = [
    ['that are a web page', (response) => response.end('<html>hello</html>')],
    ['that are JSON of another kind', (response) => response.end('{"runs": [{"run": 5}]}')],
    ['that are null', (response) => response.end('null')],
    ['that are empty', (response) => response.end()],
    [
      'that never end',
      (response) => {
        const more = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(1 << 20, 0x20)));
          response.once('drain', more);
        };
        more();
      },
    ],
  ];
  for (const [name, answer] of answers) {
    test(name, async () => {
      http = (_, response) => answer(response);
      await assert.rejects(() => fetchStatus(url), code('not-a-hub', /expected a Potluck hub at/));
      await assert.rejects(() => sendEvent(url, Uint8Array.of(1)), code('not-a-hub'));
      await assert.rejects(() => takeModel(url, RUN, root), code('not-a-hub'));
    });
  }

  test('that are a refusal in words: the person hears them, and a hub that wants a moment gets it', async () => {
    const say = (response: ServerResponse, status: number, error: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
    };
    http = (_, response) => say(response, 421, { code: 'wrong-host', message: 'start it with --public URL' });
    await assert.rejects(() => fetchStatus(url), code('refused', /refused: start it with --public URL/));
    let asked = 0;
    http = (_, response) => {
      if (++asked === 3) response.end(JSON.stringify({ hub: RUN, runs: [] }));
      else say(response, 429, { code: 'too-fast', message: 'wait', details: { retry_after_s: 0.01 } });
    };
    assert.deepEqual(await fetchStatus(url), { hub: RUN, runs: [] });
    http = (_, response) => say(response, 429, { code: 'too-fast', message: 'wait', details: { retry_after_s: 99 } });
    await assert.rejects(() => fetchStatus(url), code('refused', /wait/));
  });

  test('that do not come', async () => {
    http = (_, response) => response.destroy();
    await assert.rejects(() => fetchStatus(url), code('hub-unreachable', /no hub answers at/));
    await assert.rejects(() => sendEvent(url, Uint8Array.of(1)), code('hub-unreachable'));
  });
});
