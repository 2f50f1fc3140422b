// Compliance tests for every BlobStore. Each implementation's test file calls them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex, utf8 } from '../../protocol/hash.ts';
import type { BlobStore } from '../blob-store.ts';
import { LedgerError, type LedgerErrorCode } from '../errors.ts';

export const rejectsWith = (step: Promise<unknown>, code: LedgerErrorCode) =>
  assert.rejects(step, (error) => {
    assert.ok(error instanceof LedgerError, String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });

export async function allOf<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** @param open makes an empty store for blobs of at most 100,000 bytes; the test file removes what it leaves behind */
export function blobStoreCompliance(name: string, open: () => Promise<BlobStore>): void {
  test(`${name}: what is put is found under its hash, also when empty`, async () => {
    const store = await open();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2_000 }), async (bytes) => {
        const hash = await store.put(bytes);
        assert.equal(hash, sha256Hex(bytes));
        assert.equal(await store.has(hash), true);
        assert.equal(await store.sizeOf(hash), bytes.length);
        assert.deepEqual(await store.get(hash), bytes);
      }),
      { numRuns: 30 },
    );
    assert.deepEqual(await store.get(await store.put(new Uint8Array(0))), new Uint8Array(0));
  });

  test(`${name}: what was never put, or was deleted, is not there`, async () => {
    const store = await open();
    const absent = sha256Hex(utf8('absent'));
    assert.equal(await store.has(absent), false);
    assert.equal(await store.get(absent), null);
    assert.equal(await store.sizeOf(absent), null);
    assert.equal(await store.delete(absent), false);
    const hash = await store.put(Uint8Array.of(1));
    assert.equal(await store.delete(hash), true);
    assert.equal(await store.has(hash), false);
    assert.equal(await store.get(hash), null);
    assert.equal(await store.delete(hash), false);
    assert.equal(await store.put(Uint8Array.of(1)), hash, 'a deleted blob can be put again');
    assert.equal(await store.has(hash), true);
  });

  test(`${name}: says when a blob was last put, also when it was there already`, async () => {
    const store = await open();
    const before_ms = Date.now() - 1000; // file systems round
    const bytes = Uint8Array.of(9);
    const hash = await store.put(bytes);
    const first_ms = (await store.putAt(hash))!;
    assert.ok(first_ms >= before_ms && first_ms <= Date.now() + 1000, `${first_ms}`);
    await store.put(bytes);
    assert.ok((await store.putAt(hash))! >= Math.floor(first_ms)); // a second put says whole milliseconds
    await store.delete(hash);
    assert.equal(await store.putAt(hash), null);
  });

  test(`${name}: putting the same bytes again, also at once, keeps one blob`, async () => {
    const store = await open();
    const bytes = new Uint8Array(50_000).fill(3);
    const hashes = await Promise.all(Array.from({ length: 20 }, () => store.put(bytes)));
    assert.equal(new Set([...hashes, await store.put(bytes)]).size, 1);
    assert.deepEqual(await allOf(store.list()), [hashes[0]]);
  });

  test(`${name}: the list has every name once, in order`, async () => {
    const store = await open();
    assert.deepEqual(await allOf(store.list()), []);
    const hashes = await Promise.all(Array.from({ length: 60 }, (_, i) => store.put(Uint8Array.of(i))));
    assert.deepEqual(await allOf(store.list()), hashes.sort());
  });

  test(`${name}: callers cannot change what is stored`, async () => {
    const store = await open();
    const bytes = Buffer.from([1, 2, 3]); // A Buffer's slice would be a view.
    const hash = await store.put(bytes);
    bytes.fill(9);
    const got = await store.get(hash);
    assert.deepEqual(got, Uint8Array.of(1, 2, 3));
    got?.fill(8);
    assert.deepEqual(await store.get(hash), Uint8Array.of(1, 2, 3));
  });

  test(`${name}: only 64 lower-case hexadecimal digits are a name`, async () => {
    const store = await open();
    const good = await store.put(Uint8Array.of(7));
    for (const bad of [
      '',
      '..',
      '../../etc/passwd',
      good.toUpperCase(),
      good.slice(1),
      `${good}0`,
      `${good}\n`,
      `${good.slice(0, 61)}/..`,
    ]) {
      await rejectsWith(store.has(bad), 'bad-hash');
      await rejectsWith(store.get(bad), 'bad-hash');
      await rejectsWith(store.stream(bad), 'bad-hash');
      await rejectsWith(store.sizeOf(bad), 'bad-hash');
      await rejectsWith(store.delete(bad), 'bad-hash');
    }
    assert.equal(await store.has(good), true);
  });

  test(`${name}: a blob that comes piece by piece is there when it is kept, not before, and then as any other`, async () => {
    const store = await open();
    const pieces = fc.array(fc.uint8Array({ maxLength: 30_000 }), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(pieces, async (pieces) => {
        const whole = Buffer.concat(pieces);
        const hash = sha256Hex(whole);
        await store.delete(hash);
        const draft = store.draft();
        for (const piece of pieces) {
          const lent = piece.slice();
          await draft.write(lent);
          lent.fill(9);
        }
        assert.deepEqual([draft.size_bytes, draft.hash, await store.has(hash)], [whole.length, hash, false]);
        assert.deepEqual(await draft.keep(), { known: false });
        await draft.discard();
        assert.deepEqual(await store.get(hash), new Uint8Array(whole));
      }),
      { numRuns: 20 },
    );
  });

  test(`${name}: a draft that is dropped leaves nothing; one of bytes that are there says so`, async () => {
    const store = await open();
    const dropped = store.draft();
    await dropped.write(new Uint8Array(90_000));
    await dropped.discard();
    await dropped.discard();
    assert.deepEqual(await allOf(store.list()), []);
    const hashes: string[] = [];
    for (const size of [100, 20_000, 90_000]) {
      const bytes = new Uint8Array(size).fill(2);
      hashes.push(await store.put(bytes));
      const again = store.draft();
      await again.write(bytes);
      assert.deepEqual([await again.keep(), again.hash], [{ known: true }, hashes.at(-1)]);
    }
    assert.deepEqual(await allOf(store.list()), hashes.sort());
  });

  test(`${name}: any part of a blob is read piece by piece`, async () => {
    const store = await open();
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7 + (i >> 8));
    const hash = await store.put(bytes);
    const at = fc.integer({ min: 0, max: bytes.length });
    await fc.assert(
      fc.asyncProperty(at, at, async (from, to) => {
        const stream = await store.stream(hash, from, Math.max(from, to));
        assert.deepEqual(Buffer.concat(await allOf(stream!)), Buffer.from(bytes.subarray(from, to)));
      }),
      { numRuns: 30 },
    );
    assert.deepEqual(Buffer.concat(await allOf((await store.stream(hash))!)), Buffer.from(bytes));
    assert.equal(await store.stream(sha256Hex(Uint8Array.of(1))), null);
    const empty = await store.put(new Uint8Array(0));
    assert.equal(Buffer.concat(await allOf((await store.stream(empty))!)).length, 0);
  });

  test(`${name}: a blob above the limit is refused and leaves nothing`, async () => {
    const store = await open();
    await rejectsWith(store.put(new Uint8Array(100_001)), 'blob-too-large');
    const draft = store.draft();
    await draft.write(new Uint8Array(100_000));
    await rejectsWith(draft.write(Uint8Array.of(1)), 'blob-too-large');
    await draft.discard();
    assert.deepEqual(await allOf(store.list()), []);
    await store.put(new Uint8Array(100_000));
  });
}
