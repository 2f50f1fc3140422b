// How a weight is cut into chunks, a matrix into tiles and a vector into runs, so that every region of it is sent in every round
// (the chunked top-k of DeMo, arXiv 2411.19870, and SparseLoCo, arXiv 2508.15706).
import type { ParameterSpec } from '../model/config.ts';

/** The longest side of a tile: 64 × 64 values are 4096, the chunk for which densities are quoted. */
const TILE_SIDE = 64;
/** The number of values in a full tile. */
export const TILE_VALUES = TILE_SIDE * TILE_SIDE;

/** The chunks of one weight: a grid of equal tiles over a rows × columns matrix (a vector is a matrix of one row). */
export interface Tiling {
  readonly rows: number;
  readonly columns: number;
  readonly tile_rows: number;
  readonly tile_columns: number;
  /** Values in one chunk. */
  readonly chunk_size: number;
  readonly chunks: number;
  /** Values kept of each chunk. */
  readonly kept: number;
}

/** The largest divisor of `length` that is at most TILE_SIDE. */
function tileSide(length: number): number {
  let side = Math.min(length, TILE_SIDE);
  while (length % side !== 0) side--;
  return side;
}

/**
 * How many values of a chunk are kept: `kept_per_tile` of 4096 in proportion to its size, an even number, at least two
 * (one of each sign), and not more than the chunk has.
 */
function keptOf(chunk_size: number, kept_per_tile: number): number {
  const pairs = Math.round((chunk_size * kept_per_tile) / (2 * TILE_VALUES));
  return Math.min(chunk_size, Math.max(2, 2 * pairs));
}

/** How many values of a full tile are kept: the same for every weight, or by weight. */
export type Density = number | ReadonlyMap<string, number>;

/** The tiling of one weight. All dimensions before the last are combined as rows. */
export function tilingOf(spec: ParameterSpec, density: Density): Tiling {
  const kept_per_tile = typeof density === 'number' ? density : density.get(spec.name)!;
  const columns = spec.shape.at(-1) ?? 1;
  const rows = spec.shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const tile_rows = tileSide(rows);
  const tile_columns = tileSide(columns);
  const chunk_size = tile_rows * tile_columns;
  return {
    rows,
    columns,
    tile_rows,
    tile_columns,
    chunk_size,
    chunks: (rows * columns) / chunk_size,
    kept: keptOf(chunk_size, kept_per_tile),
  };
}

/** The offset in the weight of the first value of chunk `chunk`: tiles go row by row. */
export function chunkStart(tiling: Tiling, chunk: number): number {
  const across = tiling.columns / tiling.tile_columns;
  const down = Math.floor(chunk / across);
  return down * tiling.tile_rows * tiling.columns + (chunk % across) * tiling.tile_columns;
}

/** The least density, in values of a full tile, with which no chunk of a weight drops a value that `isSaid` names. */
export function leastDensity(spec: ParameterSpec, isSaid: (index: number) => boolean): number {
  const tiling = tilingOf(spec, TILE_VALUES);
  const { chunk_size, chunks, tile_rows, tile_columns, columns } = tiling;
  let most = 0;
  for (let chunk = 0; chunk < chunks; chunk++) {
    const start = chunkStart(tiling, chunk);
    let said = 0;
    for (let row = 0; row < tile_rows; row++) {
      for (let column = 0; column < tile_columns; column++) if (isSaid(start + row * columns + column)) said++;
    }
    most = Math.max(most, said);
  }
  // The inverse of `keptOf`: it gives p pairs from (p − 1/2) · 2 · TILE_VALUES / chunk_size on.
  const pairs = Math.ceil(most / 2);
  return pairs <= 1 ? 2 : Math.min(TILE_VALUES, Math.ceil(((pairs - 0.5) * 2 * TILE_VALUES) / chunk_size));
}
