// Blobs that come with events: kept under their hash, counted as uploads of their key are, and refused where an upload would be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { LedgerError } from '../ledger/errors.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { handClock } from '../protocol/testing/hand-clock.ts';
import { enclosedTaker } from './enclosed-blobs.ts';
import { HubError } from './errors.ts';
import { openRateLimits } from './rate-limits.ts';
import { unnamedBlobs } from './unnamed-blobs.ts';
import type { PeerTelemetry } from './views.ts';

const who = { peer: 'c'.repeat(64), address: '10.0.0.1' };
const blob = (fill: number): Uint8Array => new Uint8Array(100).fill(fill);

function opened(mustHaveRoom: () => Promise<void> = async () => {}) {
  const clock = handClock();
  const blobs = createMemoryBlobStore();
  const unnamed = unnamedBlobs();
  const seen: PeerTelemetry = { progress: null, bytes_up: 0, bytes_down: 0 };
  let carried = 0;
  const take = enclosedTaker({
    ...{ blobs, unnamed, telemetry: new Map([[who.peer, seen]]), isKnown: () => false, mustHaveRoom },
    rates: openRateLimits(clock, { upload_key: { burst: 3, per_second: 1 } }),
    onCarried: (bytes) => {
      carried += bytes;
    },
  });
  return { take, clock, blobs, unnamed, counts: () => [seen.bytes_up, carried] };
}

test('is there when the call resolves, and counts as an upload that nothing names yet, once', async () => {
  const { take, blobs, unnamed, counts } = opened();
  const hash = sha256Hex(blob(1));
  await take(who, blob(1));
  await take(who, blob(1));
  assert.deepEqual(await blobs.get(hash), blob(1));
  assert.deepEqual([...unnamed.of(who.peer)], [hash]);
  assert.deepEqual(counts(), [200, 200]);
  unnamed.named(hash);
  assert.deepEqual([...unnamed.of(who.peer)], []);
});

test('is limited by the rate of uploads of its key, whatever events cost', async () => {
  const { take, clock, blobs } = opened();
  for (const fill of [1, 2, 3]) await take(who, blob(fill));
  await assert.rejects(take(who, blob(4)), { code: 'too-fast' });
  assert.equal(await blobs.has(sha256Hex(blob(4))), false);
  clock.move(1000);
  await take(who, blob(4));
});

test('is refused where the disk has no room, and what could not be kept counts for nobody', async () => {
  const full = opened(async () => {
    throw new HubError('disk-full', 'no room');
  });
  await assert.rejects(full.take(who, blob(1)), { code: 'disk-full' });
  assert.equal(await full.blobs.has(sha256Hex(blob(1))), false);
  const broken = opened();
  broken.blobs.draft = () => {
    throw new LedgerError('store-unusable', 'planted');
  };
  await assert.rejects(broken.take(who, blob(1)), { code: 'store-unusable' });
  for (const { unnamed, counts } of [full, broken]) {
    assert.deepEqual([[...unnamed.of(who.peer)], counts()], [[], [0, 0]]);
  }
});

test('waits for a deletion of the same bytes, so that what was acknowledged is not taken away', async () => {
  const { take, blobs, unnamed } = opened();
  const hash = sha256Hex(blob(1));
  await take(who, blob(1));
  let remove!: () => void;
  const removed = unnamed.remove(hash, async () => {
    await new Promise<void>((resolve) => {
      remove = resolve;
    });
    await blobs.delete(hash);
  });
  const taken = take(who, blob(1));
  await new Promise(setImmediate);
  remove();
  await Promise.all([removed, taken]);
  assert.ok(await blobs.has(hash));
});
