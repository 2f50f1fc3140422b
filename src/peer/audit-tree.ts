// The Merkle tree of a log computed anew from its entries, with every tile on the way (RFC 6962; C2SP tlog-tiles).
import { rootAt } from '../ledger/merkle.ts';
import { nodesFromTiles, TILE_WIDTH, TileNodes } from '../ledger/tiles.ts';

/** A tile that is complete as far as the entries go. */
export interface ComputedTile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
  readonly bytes: Uint8Array;
}

/** Grows by leaf hashes; holds one tile a level, whatever the size. */
export class TreeCheck {
  #size = 0;
  readonly #edge: TileNodes[] = [];
  #full: ComputedTile[] = [];

  get size(): number {
    return this.#size;
  }

  /** Adds the leaf hash of the next entry. */
  push(leaf: Uint8Array): void {
    this.#size++;
    let hash = leaf;
    for (let level = 0; ; level++) {
      this.#edge[level] ??= new TileNodes();
      const tile = this.#edge[level];
      tile.push(hash);
      if (tile.width < TILE_WIDTH) return;
      const index = this.#size / TILE_WIDTH ** (level + 1) - 1;
      this.#full.push({ level, index, width: TILE_WIDTH, bytes: tile.toBytes() });
      this.#edge[level] = new TileNodes();
      hash = tile.root;
    }
  }

  /** The root of all entries so far. */
  root(): Uint8Array {
    return rootAt(
      this.#size,
      nodesFromTiles((level) => this.#edge[level]),
    );
  }

  /** The full tiles since the last call. */
  takeFull(): ComputedTile[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The tiles at the edge that are not full. */
  partial(): ComputedTile[] {
    return this.#edge.flatMap((tile, level) => {
      const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
      return tile.width > 0 ? [{ level, index, width: tile.width, bytes: tile.toBytes() }] : [];
    });
  }
}
