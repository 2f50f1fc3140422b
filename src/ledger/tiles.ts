// C2SP tlog-tiles (c2sp.org/tlog-tiles): the tree as static files of 256 hashes, and the entries in bundles of 256.
import { LedgerError } from './errors.ts';
import { HASH_BYTES, type NodeReader, nodeHashWithin } from './merkle.ts';

/** Hashes in a full tile, and entries in a full bundle: eight levels of the tree. */
export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** The specification's limit of <L>. Sizes below 2^53 need levels 0 to 6. */
const MAX_LEVEL = 63;

/** The tile or bundle that a path names. `width` is TILE_WIDTH for a full one. */
export type TileAddress =
  | { readonly kind: 'tile'; readonly level: number; readonly index: number; readonly width: number }
  | { readonly kind: 'entries'; readonly index: number; readonly width: number };

/** tile/<L>/<N>[.p/<W>], relative to the log's prefix. */
export function tilePath(level: number, index: number, width = TILE_WIDTH): string {
  return `tile/${level}/${indexPath(index)}${partialSuffix(width)}`;
}

/** tile/entries/<N>[.p/<W>], relative to the log's prefix. */
export function entriesPath(index: number, width = TILE_WIDTH): string {
  return `tile/entries/${indexPath(index)}${partialSuffix(width)}`;
}

/** Parses a path that tilePath or entriesPath writes. Throws LedgerError `malformed` for every other text. */
export function parseTilePath(path: string): TileAddress {
  const refuse = () =>
    new LedgerError(
      'malformed',
      `expected tile/<level or "entries">/<index>[.p/<width>], got ${JSON.stringify(path).slice(0, 120)}`,
    );
  // At most six groups of three digits: more than 2^53.
  const match = /^tile\/(entries|0|[1-9]\d?)\/((?:x\d{3}\/){0,5}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  if (!match) throw refuse();
  const index = Number(match[2].replaceAll(/x|\//g, ''));
  const width = match[3] === undefined ? TILE_WIDTH : Number(match[3]);
  if (!Number.isSafeInteger(index) || (match[3] !== undefined && width >= TILE_WIDTH)) throw refuse();
  if (indexPath(index) !== match[2]) throw refuse(); // One path for each tile: no leading groups of zeros.
  if (match[1] === 'entries') return { kind: 'entries', index, width };
  const level = Number(match[1]);
  if (level > MAX_LEVEL) throw refuse();
  return { kind: 'tile', level, index, width };
}

/** The tiles of a tree: for each level the number of full ones, and the width of the partial one after them (0: none). */
export function tilesOfTree(
  size: number,
): { readonly level: number; readonly full: number; readonly partial_width: number }[] {
  const levels = [];
  for (let level = 0, hashes = size; hashes > 0; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
    levels.push({ level, full: Math.floor(hashes / TILE_WIDTH), partial_width: hashes % TILE_WIDTH });
  }
  return levels;
}

/** Encodes a bundle: before each entry its length as 16 bits, most significant byte first; at the start `bytes_before` bytes for the caller. */
export function encodeEntryBundle(entries: readonly Uint8Array[], bytes_before = 0): Uint8Array {
  let size = bytes_before;
  for (const entry of entries) size += 2 + entry.length;
  const bundle = new Uint8Array(size);
  let at = bytes_before;
  for (const entry of entries) {
    bundle[at++] = entry.length >> 8;
    bundle[at++] = entry.length & 0xff;
    bundle.set(entry, at);
    at += entry.length;
  }
  return bundle;
}

/** The entries of a bundle (views into it). Throws LedgerError `malformed` unless there are exactly `count` and nothing else. */
export function decodeEntryBundle(bundle: Uint8Array, count: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at < bundle.length) {
    const end = at + 2 + bundle[at] * 0x100 + bundle[at + 1];
    // NaN where the length itself is cut off.
    if (!(end <= bundle.length)) throw new LedgerError('malformed', `entry ${entries.length} of the bundle is cut off`);
    entries.push(bundle.subarray(at + 2, end));
    at = end;
    if (entries.length > count) break;
  }
  if (entries.length !== count) {
    throw new LedgerError(
      'malformed',
      `expected a bundle of ${count} entries, got ${entries.length > count ? 'more' : entries.length}`,
    );
  }
  return entries;
}

/** Where the row of nodes of a height begins: after the rows below, each half as long as the one before. */
const ROWS = Array.from(
  { length: TILE_HEIGHT + 2 },
  (_, h) => (2 * TILE_WIDTH - 2 ** (TILE_HEIGHT + 1 - h)) * HASH_BYTES,
);

/** The hashes of a tile and every complete node above them inside it: at most 511, each computed once. */
export class TileNodes {
  /** Row h holds the nodes of height h: one for each 2^h hashes. All rows in one array, because a log keeps thousands of hashes. */
  readonly #rows = new Uint8Array(ROWS[TILE_HEIGHT + 1]);
  #width = 0;

  /** From a tile's bytes, also of a partial tile; what somebody sends beyond a full one is no part of it. */
  static fromBytes(tile: Uint8Array): TileNodes {
    const nodes = new TileNodes();
    const end = Math.min(tile.length, TILE_WIDTH * HASH_BYTES);
    for (let at = 0; at < end; at += HASH_BYTES) nodes.push(tile.subarray(at, Math.min(end, at + HASH_BYTES)));
    return nodes;
  }

  /** How many hashes the tile has: 0 to TILE_WIDTH. */
  get width(): number {
    return this.#width;
  }

  /** Adds the next hash, up to TILE_WIDTH. */
  push(hash: Uint8Array): void {
    this.#rows.set(hash, this.#width * HASH_BYTES);
    let count = ++this.#width;
    for (let height = 0; count % 2 === 0 && height < TILE_HEIGHT; height++, count /= 2) {
      const left = ROWS[height] + (count - 2) * HASH_BYTES;
      nodeHashWithin(this.#rows, left, ROWS[height + 1] + (count / 2 - 1) * HASH_BYTES);
    }
  }

  /** The root of the hashes [index * 2^height, (index + 1) * 2^height). Throws LedgerError `out-of-range` where the tile ends before. */
  node(height: number, index: number): Uint8Array {
    if (height > TILE_HEIGHT || index >= Math.floor(this.#width / 2 ** height))
      throw new LedgerError('out-of-range', `a tile of ${this.width} hashes has no node ${index} of height ${height}`);
    const at = ROWS[height] + index * HASH_BYTES;
    return this.#rows.slice(at, at + HASH_BYTES);
  }

  /** The root of a full tile: its hash in the level above. */
  get root(): Uint8Array {
    return this.node(TILE_HEIGHT, 0);
  }

  /** The tile's bytes, or those of its first `width` hashes. Throws as `node` does. */
  toBytes(width = this.width): Uint8Array {
    if (width > 0) this.node(0, width - 1);
    return this.#rows.slice(0, width * HASH_BYTES);
  }
}

/**
 * Reads any complete subtree from tiles, of the log's own store or of another log's `/log/`.
 * @param tile gives a tile with at least `width` hashes. A cache pays off, because one proof asks for a tile several times.
 */
export function nodesFromTiles(tile: (level: number, index: number, width: number) => TileNodes): NodeReader {
  return (height, index) => {
    const level = Math.floor(height / TILE_HEIGHT);
    const heightInTile = height % TILE_HEIGHT;
    const nodesInRow = TILE_WIDTH / 2 ** heightInTile;
    const tileIndex = Math.floor(index / nodesInRow);
    const place = index - tileIndex * nodesInRow;
    return tile(level, tileIndex, (place + 1) * 2 ** heightInTile).node(heightInTile, place);
  };
}

/** The index in groups of three digits, an x before all but the last: 1234067 is x001/x234/067. */
function indexPath(index: number): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g)!;
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
}

function partialSuffix(width: number): string {
  return width === TILE_WIDTH ? '' : `.p/${width}`;
}
