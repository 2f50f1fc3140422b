// What an upload costs its sender while it comes: refused before a byte where it cannot fit, counted as its bytes come, kept as long as they do.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { Hono } from 'hono';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createIdentity } from '../protocol/identity.ts';
import { uploadChallenge } from '../protocol/messages.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { answerTo, noteAskers } from './answers.ts';
import { serveBlobs } from './blob-routes.ts';
import { HubError } from './errors.ts';
import { openMetrics } from './metrics.ts';
import { openRateLimits } from './rate-limits.ts';
import { type UnnamedBlobs, unnamedBlobs } from './unnamed-blobs.ts';

const identity = createIdentity();
const HUB = 'a'.repeat(64);

/** The routes of blobs with nothing but memory behind them. `most_bytes` is what a sender may bring, `at_once_bytes` what may be on its way. */
function opened({ most_bytes = 1e9, at_once_bytes = 1e9 }) {
  const clock = handClock();
  let come_bytes = 0;
  const refuse = (size_bytes: number, most: number): void => {
    if (size_bytes > most) throw new HubError('too-much', `at most ${most}`);
  };
  const unnamed: UnnamedBlobs = {
    ...unnamedBlobs(() => false),
    mustFit: (_, size_bytes) => refuse(size_bytes, most_bytes),
    arriving: () => ({
      grow(size_bytes) {
        come_bytes += size_bytes;
        refuse(come_bytes, at_once_bytes);
      },
      end: () => {},
    }),
  };
  const app = new Hono();
  app.onError((error, c) => c.json({ code: answerTo(error).code }, answerTo(error).status));
  noteAskers(app, () => null);
  serveBlobs(app, {
    ...{ id: HUB, clock, blobs: createMemoryBlobStore(), unnamed, telemetry: new Map(), rates: openRateLimits(clock) },
    ...{ metrics: openMetrics(), isKnown: () => false, mustHaveRoom: async () => {}, onError: () => {} },
  });
  const put = async (bytes: Uint8Array, pieces = 1, between = () => {}) => {
    const hash = sha256Hex(bytes);
    const signature = bytesToHex(await identity.sign(uploadChallenge(HUB, hash)));
    const headers = { 'x-potluck-peer': identity.id, 'x-potluck-signature': signature };
    const size = bytes.length / pieces;
    async function* parts() {
      for (let i = 0; i < pieces; i++) {
        between();
        yield bytes.subarray(i * size, (i + 1) * size);
        await new Promise(setImmediate);
      }
    }
    const response = await app.request(
      `/blobs/${hash}`,
      {
        ...{ method: 'PUT', headers: { ...headers, 'content-length': String(bytes.length) } },
        ...{ body: Readable.toWeb(Readable.from(parts())) as ReadableStream, duplex: 'half' },
      } as RequestInit,
      { incoming: { socket: {} } },
    );
    return `${response.status} ${((await response.json()) as { code?: string }).code ?? ''}`.trim();
  };
  return { clock, put, come: () => come_bytes };
}

test('what cannot fit is refused before a byte of it is taken', async () => {
  const { put, come } = opened({ most_bytes: 10 });
  assert.equal(await put(randomBytes(11)), '429 too-much');
  assert.equal(come(), 0);
  assert.equal(await put(randomBytes(10)), '201');
});

test('bytes count as they come, and no more come when they are too many', async () => {
  const { put, come } = opened({ at_once_bytes: 1000 });
  assert.equal(await put(randomBytes(900), 9), '201');
  assert.equal(come(), 900);
  assert.equal(await put(randomBytes(900), 9), '429 too-much');
  assert.ok(come() <= 1100, `${come()}`);
});

test('an upload at 2 kB/s is taken, one of a tenth of that is not', async () => {
  const at = async (bytes_per_s: number): Promise<string> => {
    const { clock, put } = opened({});
    return put(randomBytes(bytes_per_s * 40), 40, () => clock.move(1000));
  };
  assert.equal(await at(2000), '201');
  assert.equal(await at(200), '503 too-slow');
});
