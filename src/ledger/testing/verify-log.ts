// Checks a whole log for tests: every entry against its hash in the tree, and every full tile against its root in the level above.
import assert from 'node:assert/strict';
import { equalHashes } from '../merkle.ts';
import { TILE_WIDTH, TileNodes, tilesOfTree } from '../tiles.ts';
import type { TransparencyLog } from '../transparency-log.ts';

const PAGE = 2_048;

/** Throws LedgerError `log-corrupt` with the index of the first entry, or AssertionError for a tile, that is not what was appended. */
export function verifyLog(log: TransparencyLog): void {
  for (let from = 0; from < log.size; from += PAGE) log.read(from, Math.min(log.size, from + PAGE));
  for (const { level, full } of tilesOfTree(log.size)) {
    for (let index = 0; index < full; index++) {
      const at = index % TILE_WIDTH;
      const root = TileNodes.fromBytes(log.tile(level, index)!).root;
      const above = TileNodes.fromBytes(log.tile(level + 1, Math.floor(index / TILE_WIDTH), at + 1)!).node(0, at);
      assert.ok(
        equalHashes(root, above),
        `tile ${index} of level ${level} does not have the root that the level above holds`,
      );
    }
  }
}
