// Roots of the past: of any size, from what is held and what the log still serves; a tile that is another is found, one that is gone is said.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leafHash } from '../ledger/merkle.ts';
import { createMemoryLogStore } from '../ledger/testing/memory-log.ts';
import { TILE_WIDTH } from '../ledger/tiles.ts';
import { openTransparencyLog } from '../ledger/transparency-log.ts';
import { createIdentity } from '../protocol/identity.ts';
import { TreeCheck } from './tree.ts';

/** More than the tiles that a check holds. */
const SIZE = 40 * TILE_WIDTH + 77;

test('the root of every size that was, and tiles that are not held any more are asked for and believed only by their hash', async () => {
  const log = openTransparencyLog(createMemoryLogStore(), createIdentity());
  const entries = Array.from({ length: SIZE }, (_, i) => new TextEncoder().encode(`entry ${i}`));
  for (let at = 0; at < SIZE; at += 10_000) await log.append(entries.slice(at, at + 10_000));
  const tree = new TreeCheck();
  for (const entry of entries) tree.push(leafHash(entry));
  const asked: number[] = [];
  const serve = async (index: number) => {
    asked.push(index);
    return log.tile(0, index, TILE_WIDTH);
  };
  const sizes = [0, 1, 2, 255, 256, 257, 300, 5 * TILE_WIDTH + 3, 39 * TILE_WIDTH, 39 * TILE_WIDTH + 1, SIZE - 1, SIZE];
  for (const size of sizes) assert.deepEqual(await tree.rootOf(size, serve), log.rootAt(size), `size ${size}`);
  assert.deepEqual([...new Set(asked)], [0, 1, 5], 'only what is old and cut by the size');
  const gone = async () => null;
  assert.equal(await tree.rootOf(300, gone), null);
  assert.deepEqual(await tree.rootOf(256, gone), log.rootAt(256), 'a full tile’s root is in the level above');
  assert.deepEqual(await tree.rootOf(SIZE - 1, gone), log.rootAt(SIZE - 1));
  for (const wrong of [log.tile(0, 3, TILE_WIDTH)!, log.tile(0, 1, 200)!, new Uint8Array()]) {
    await assert.rejects(
      tree.rootOf(300, async () => wrong),
      { code: 'wrong-tile' },
    );
  }
});
