// Computes the Merkle tree of a log from its entries, with every tile on the way (RFC 6962; C2SP tlog-tiles).
import { equalHashes, HASH_BYTES, rootAt } from '../ledger/merkle.ts';
import { nodesFromTiles, TILE_WIDTH, TileNodes, tilePath } from '../ledger/tiles.ts';
import { AuditFailure } from './public-log.ts';

/** How many of the lowest tiles are kept with all their nodes: heads that authors have seen are seldom older, and a tile takes some 50 KB. */
const RECENT_TILES = 32;

/** A tile, complete as far as the entries go. */
export interface ComputedTile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
  readonly bytes: Uint8Array;
}

/** Grows by leaf hashes. Holds the last of the lowest tiles, and all tiles above them, which are one in 256. */
export class TreeCheck {
  #size = 0;
  readonly #edge: TileNodes[] = [];
  /** By level and index. */
  readonly #kept: Map<number, TileNodes>[] = [];
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
      this.#kept[level] ??= new Map();
      this.#kept[level].set(index, tile);
      if (level === 0) this.#kept[level].delete(index - RECENT_TILES);
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

  /**
   * The root of the first `size` entries, up to the present size. A tile of the lowest level that is not held any more is requested from the
   * caller and must equal the computed one; null where the caller does not have it. Throws AuditFailure `wrong-tile`.
   */
  async rootOf(size: number, lowest: (index: number) => Promise<Uint8Array | null>): Promise<Uint8Array | null> {
    // Of the lowest level only the tile that `size` cuts through is needed.
    const index = Math.floor(size / TILE_WIDTH);
    let cut = size % TILE_WIDTH === 0 ? undefined : this.#held(0, index);
    if (size % TILE_WIDTH !== 0 && !cut) {
      const bytes = await lowest(index);
      if (!bytes) return null;
      cut = bytes.length === TILE_WIDTH * HASH_BYTES ? TileNodes.fromBytes(bytes) : undefined;
      const above = this.#held(1, Math.floor(index / TILE_WIDTH))!.node(0, index % TILE_WIDTH);
      if (!cut || !equalHashes(cut.root, above)) {
        const path = tilePath(0, index);
        const message = `${path} has other hashes: it does not follow from the entries`;
        throw new AuditFailure('wrong-tile', message, { index: index * TILE_WIDTH, level: 0, tile: path });
      }
    }
    return rootAt(
      size,
      nodesFromTiles((level, at) => (level === 0 ? cut! : this.#held(level, at)!)),
    );
  }

  /** A tile as far as it has grown. */
  #held(level: number, index: number): TileNodes | undefined {
    const atEdge = index === Math.floor(this.#size / TILE_WIDTH ** (level + 1));
    return atEdge ? this.#edge[level] : this.#kept[level]?.get(index);
  }

  /** The tiles that became full since the last call. */
  takeFull(): ComputedTile[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  /** The partial tiles at the right edge. */
  partial(): ComputedTile[] {
    return this.#edge.flatMap((tile, level) => {
      const index = Math.floor(this.#size / TILE_WIDTH ** (level + 1));
      return tile.width > 0 ? [{ level, index, width: tile.width, bytes: tile.toBytes() }] : [];
    });
  }
}
