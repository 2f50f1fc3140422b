// Computes over a tree whose tiles lie elsewhere, and fetches only the tiles that the computation reads: a handful, however large the tree.
import type { NodeReader } from './merkle.ts';
import { nodesFromTiles, TILE_WIDTH, type TileNodes, tilePath } from './tiles.ts';

/** Fetches a tile of so many hashes. An error of it ends the computation. */
export type TileSource = (level: number, index: number, width: number) => Promise<TileNodes>;

class Missing extends Error {}

/**
 * Runs a computation over the tree of `size` entries, and runs it again after fetching each tile that it lacked.
 * Throws what `source` and `compute` throw.
 */
export async function withTiles<T>(size: number, source: TileSource, compute: (node: NodeReader) => T): Promise<T> {
  const tiles = new Map<string, TileNodes>();
  for (;;) {
    const missing: [level: number, index: number, width: number][] = [];
    const node = nodesFromTiles((level, index) => {
      const width = Math.min(TILE_WIDTH, Math.floor(size / TILE_WIDTH ** level) - index * TILE_WIDTH);
      const tile = tiles.get(tilePath(level, index, width));
      if (tile) return tile;
      missing.push([level, index, width]);
      throw new Missing();
    });
    try {
      return compute(node);
    } catch (error) {
      if (!(error instanceof Missing)) throw error;
      for (const tile of missing) tiles.set(tilePath(...tile), await source(...tile));
    }
  }
}
