// The Merkle tree of a log computed anew from its entries, with every tile on the way (RFC 6962; C2SP tlog-tiles).
import { LedgerError } from '../ledger/errors.ts';
import { equalHashes, HASH_BYTES, rootAt } from '../ledger/merkle.ts';
import { nodesFromTiles, TILE_WIDTH, TileNodes, tilePath } from '../ledger/tiles.ts';
import { withTiles } from '../ledger/tiles-needed.ts';
import { Untruth } from './public-log.ts';

/** The lowest tiles that are kept with all their nodes: what authors have seen is seldom older, and each takes some 50 KB. */
const RECENT_TILES = 32;

/** A tile that is complete as far as the entries go. */
export interface ComputedTile {
  readonly level: number;
  readonly index: number;
  readonly width: number;
  readonly bytes: Uint8Array;
}

/** Grows by leaf hashes; holds the last of the lowest tiles, and those above them, which are one in 256. */
export class TreeCheck {
  #size = 0;
  readonly #edge: TileNodes[] = [];
  readonly #kept = new Map<string, TileNodes>();
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
      this.#kept.set(tilePath(level, index), tile);
      if (level === 0 && index >= RECENT_TILES) this.#kept.delete(tilePath(0, index - RECENT_TILES));
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
   * The root of the first `size` entries, at most as many as there are. A tile of the lowest level that is not held any more is asked for,
   * and must be the one that was computed; null where it cannot be had. Throws Untruth `wrong-tile`.
   */
  async rootOf(size: number, lowest: (index: number) => Promise<Uint8Array | null>): Promise<Uint8Array | null> {
    let missing = false;
    const held = (level: number, index: number): TileNodes | undefined =>
      index === Math.floor(this.#size / TILE_WIDTH ** (level + 1))
        ? this.#edge[level]
        : this.#kept.get(tilePath(level, index));
    const source = async (level: number, index: number): Promise<TileNodes> => {
      const tile = held(level, index);
      if (tile) return tile;
      const bytes = await lowest(index);
      missing ||= !bytes;
      if (!bytes) return new TileNodes();
      const asked = bytes.length === TILE_WIDTH * HASH_BYTES ? TileNodes.fromBytes(bytes) : null;
      const above = held(1, Math.floor(index / TILE_WIDTH))!.node(0, index % TILE_WIDTH);
      if (asked && equalHashes(asked.root, above)) return asked;
      throw new Untruth('wrong-tile', `tile ${index} of level 0 has other hashes`, {
        index: index * TILE_WIDTH,
        level: 0,
      });
    };
    try {
      return await withTiles(size, source, (node) => rootAt(size, node));
    } catch (error) {
      if (missing && error instanceof LedgerError) return null;
      throw error;
    }
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
