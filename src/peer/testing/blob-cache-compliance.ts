// Compliance tests for every BlobCache. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '../../protocol/hash.ts';
import type { BlobCache } from '../blobs.ts';

const KIB = 1024;
const blobOf = (fill: number, size_bytes = KIB): Uint8Array => new Uint8Array(size_bytes).fill(fill);

/** @param open makes an empty cache of at most so many bytes, on a clock that the test moves; the test file removes what it leaves behind */
export function blobCacheCompliance(
  kind: string,
  open: (limit_bytes: number, now_ms: () => number) => Promise<BlobCache>,
): void {
  const keep = async (cache: BlobCache, bytes: Uint8Array): Promise<string> => {
    const hash = sha256Hex(bytes);
    await cache.put(hash, bytes);
    return hash;
  };

  test(`${kind}: has what was put, also when it is empty or was put by several at once, and nothing else`, async () => {
    const cache = await open(100 * KIB, () => 1);
    assert.equal(await cache.get(sha256Hex(blobOf(1))), null);
    for (const bytes of [blobOf(1), new Uint8Array(0)]) {
      assert.deepEqual(await cache.get(await keep(cache, bytes)), bytes);
      assert.deepEqual(await cache.get(await keep(cache, bytes)), bytes, 'put again');
    }
    const hashes = await Promise.all(Array.from({ length: 8 }, () => keep(cache, blobOf(2, 20 * KIB))));
    assert.deepEqual(await cache.get(hashes[0]), blobOf(2, 20 * KIB));
  });

  test(`${kind}: what was not used for the longest time goes when it is full; what could never fit drives nothing out`, async () => {
    let now_ms = 1_700_000_000_000;
    const cache = await open(3 * KIB, () => now_ms);
    const later = <T>(step: Promise<T>): Promise<T> => {
      now_ms += 1000;
      return step;
    };
    const hashes: string[] = [];
    for (const fill of [1, 2, 3]) hashes.push(await later(keep(cache, blobOf(fill))));
    const [first, second, third] = hashes;
    await later(cache.get(first));
    const fourth = await later(keep(cache, blobOf(4)));
    await later(keep(cache, blobOf(5, 4 * KIB)));
    const there = await Promise.all(
      [first, second, third, fourth].map(async (hash) => (await cache.get(hash)) !== null),
    );
    assert.deepEqual(there, [true, false, true, true]);
  });
}
