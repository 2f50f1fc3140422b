// Sparse matrices of fixed-point numbers, row by row (compressed sparse rows): who said how much about whom.
import { div, type Fixed, mul } from './fixed-point.ts';

/** A square matrix. Row i's cells lie at starts[i] … starts[i + 1] - 1, by ascending column; cells that are not there are 0. */
export interface SparseMatrix {
  readonly size: number;
  readonly starts: Uint32Array;
  readonly columns: Uint32Array;
  readonly values: Float64Array;
}

/** A row as it is stored: pairs of column and value, in any order. */
export type Row = readonly (readonly [column: number, value: number])[];

/** The matrix with these rows. No column may come twice in a row. */
export function fromRows(rows: readonly Row[]): SparseMatrix {
  const cells = rows.reduce((all, row) => all + row.length, 0);
  const matrix = emptyMatrix(rows.length, cells);
  let at = 0;
  rows.forEach((row, i) => {
    const sorted = row.every(([column], k) => k === 0 || row[k - 1][0] < column)
      ? row
      : row.toSorted((a, b) => a[0] - b[0]);
    for (const [column, value] of sorted) {
      matrix.columns[at] = column;
      matrix.values[at++] = value;
    }
    matrix.starts[i + 1] = at;
  });
  return matrix;
}

/** The matrix with every cell replaced by f; what becomes 0 or less is left out. */
export function mapCells(matrix: SparseMatrix, f: (value: Fixed, row: number, column: number) => Fixed): SparseMatrix {
  const { size, starts, columns, values } = matrix;
  const result = emptyMatrix(size, values.length);
  let at = 0;
  for (let row = 0; row < size; row++) {
    for (let k = starts[row]; k < starts[row + 1]; k++) {
      const value = f(values[k], row, columns[k]);
      if (value <= 0) continue;
      result.columns[at] = columns[k];
      result.values[at++] = value;
    }
    result.starts[row + 1] = at;
  }
  return cut(result, at);
}

/** f of the two matrices' cells wherever one of them has a cell; what becomes 0 or less is left out. */
export function zipCells(
  a: SparseMatrix,
  b: SparseMatrix,
  f: (a: Fixed, b: Fixed, row: number, column: number) => Fixed,
): SparseMatrix {
  const result = emptyMatrix(a.size, a.values.length + b.values.length);
  let at = 0;
  for (let row = 0; row < a.size; row++) {
    let i = a.starts[row];
    let j = b.starts[row];
    while (i < a.starts[row + 1] || j < b.starts[row + 1]) {
      const left = i < a.starts[row + 1] ? a.columns[i] : a.size;
      const right = j < b.starts[row + 1] ? b.columns[j] : a.size;
      const column = Math.min(left, right);
      const value = f(left === column ? a.values[i++] : 0, right === column ? b.values[j++] : 0, row, column);
      if (value <= 0) continue;
      result.columns[at] = column;
      result.values[at++] = value;
    }
    result.starts[row + 1] = at;
  }
  return cut(result, at);
}

/** The sum of each row. */
export function rowSums({ size, starts, values }: SparseMatrix): Fixed[] {
  const sums = new Array<Fixed>(size).fill(0);
  for (let row = 0; row < size; row++) for (let k = starts[row]; k < starts[row + 1]; k++) sums[row] += values[k];
  return sums;
}

/** Matrix · vector: each row's sum of its products with the vector, every product rounded down. */
export function timesVector({ size, starts, columns, values }: SparseMatrix, vector: readonly Fixed[]): Fixed[] {
  const sums = new Array<Fixed>(size).fill(0);
  for (let row = 0; row < size; row++) {
    for (let k = starts[row]; k < starts[row + 1]; k++) sums[row] += mul(values[k], vector[columns[k]]);
  }
  return sums;
}

/** Transposed matrix · vector: each column's sum of its products with the rows' factors, every product rounded down. */
export function transposedTimes({ size, starts, columns, values }: SparseMatrix, factors: readonly Fixed[]): Fixed[] {
  const sums = new Array<Fixed>(size).fill(0);
  for (let row = 0; row < size; row++) {
    if (factors[row] === 0) continue;
    for (let k = starts[row]; k < starts[row + 1]; k++) sums[columns[k]] += mul(factors[row], values[k]);
  }
  return sums;
}

/** Every row divided by its sum. */
export function rowNormalised(matrix: SparseMatrix): SparseMatrix {
  const sums = rowSums(matrix);
  return mapCells(matrix, (value, row) => div(value, sums[row]));
}

/** Every column divided by its sum. */
export function columnNormalised(matrix: SparseMatrix): SparseMatrix {
  const sums = new Float64Array(matrix.size);
  matrix.columns.forEach((column, k) => {
    sums[column] += matrix.values[k];
  });
  return mapCells(matrix, (value, _, column) => div(value, sums[column]));
}

/** Every column divided by its largest value. */
export function columnUpscaled(matrix: SparseMatrix): SparseMatrix {
  const largest = new Float64Array(matrix.size);
  matrix.columns.forEach((column, k) => {
    largest[column] = Math.max(largest[column], matrix.values[k]);
  });
  return mapCells(matrix, (value, _, column) => div(value, largest[column]));
}

function emptyMatrix(size: number, cells: number): SparseMatrix {
  return {
    size,
    starts: new Uint32Array(size + 1),
    columns: new Uint32Array(cells),
    values: new Float64Array(cells),
  };
}

function cut({ size, starts, columns, values }: SparseMatrix, cells: number): SparseMatrix {
  return { size, starts, columns: columns.subarray(0, cells), values: values.subarray(0, cells) };
}
