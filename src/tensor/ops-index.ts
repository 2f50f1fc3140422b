// Operators that read and write by index. Additions use ScatterElements, because ScatterND(add) loses updates on two threads.
import { shapeError, type Value } from './graph.ts';
import { cast, equal } from './ops.ts';
import { gemm } from './ops-matrix.ts';
import { axisOf, dtypeError, expand, reshape, zeros } from './ops-shape.ts';
import { sizeOf } from './shape.ts';

/**
 * For a table of up to this many rows the gradient is a product with one-hot rows. On a CPU that is about as fast as adding
 * element by element; on a GPU it is, unlike atomic additions, the same in every run.
 */
const LIMIT_ONE_HOT_ROWS = 1024;

/** Rows of a matrix by int32 index: [rows, columns] and indices of any shape give [...indices, columns]. */
export function gatherRows(table: Value, indices: Value): Value {
  if (indices.dtype !== 'int32') throw dtypeError('Gather', 'int32 indices', indices);
  if (table.shape.length !== 2) throw shapeError('Gather', 'rows are read from a matrix', table, indices);
  const columns = table.shape[1];
  const [y] = table.graph.node(
    'Gather',
    [table, indices],
    [{ dtype: table.dtype, shape: [...indices.shape, columns] }],
    {
      axis: { kind: 'int', value: 0 },
    },
  );
  table.graph.record([table], [y], ([dy]) => {
    if (!dy) return [null];
    if (table.shape[0] > LIMIT_ONE_HOT_ROWS) return [addRows(zeros(table, table.shape), indices, dy)];
    return [gemm(oneHot(indices, table.shape[0]), reshape(dy, [-1, columns]), { transA: true })];
  });
  return y;
}

/** [n, rows] of 0 and 1: row i has its 1 at indices[i]. */
function oneHot(indices: Value, rows: number): Value {
  const all = indices.graph.constant(
    'int32',
    [1, rows],
    Int32Array.from({ length: rows }, (_, row) => row),
  );
  return cast(equal(reshape(indices, [-1, 1]), all), 'float32');
}

/** Adds rows to a matrix at int32 indices: the transpose of `gatherRows`. */
export function addRows(table: Value, indices: Value, rows: Value): Value {
  const columns = table.shape[1];
  const at = expand(reshape(indices, [-1, 1]), [sizeOf(indices.shape), columns]);
  return scatterAdd(table, at, reshape(rows, [-1, columns]), 0);
}

/** y[i, j] = x[i, indices[i, j]] for axis 1, and so on for other axes. */
export function gatherElements(x: Value, indices: Value, axis: number): Value {
  const at = checkIndices('GatherElements', x, indices, axis);
  const [y] = x.graph.node('GatherElements', [x, indices], [{ dtype: x.dtype, shape: indices.shape }], {
    axis: { kind: 'int', value: at },
  });
  x.graph.record([x], [y], ([dy]) => [dy && scatterAdd(zeros(x, x.shape), indices, dy, at)]);
  return y;
}

/** x with updates[i, j] added to x[i, indices[i, j]] for axis 1, and so on; repeated indices add up. */
export function scatterAdd(x: Value, indices: Value, updates: Value, axis: number): Value {
  const at = checkIndices('ScatterElements', x, indices, axis);
  if (updates.shape.join() !== indices.shape.join()) {
    throw shapeError('ScatterElements', 'updates must have the shape of the indices', updates, indices);
  }
  const [y] = x.graph.node('ScatterElements', [x, indices, updates], [{ dtype: x.dtype, shape: x.shape }], {
    axis: { kind: 'int', value: at },
    reduction: { kind: 'string', value: 'add' },
  });
  x.graph.record([x, updates], [y], ([dy], wanted) => [dy, dy && wanted[1] ? gatherElements(dy, indices, at) : null]);
  return y;
}

function checkIndices(op: string, x: Value, indices: Value, axis: number): number {
  if (indices.dtype !== 'int32') throw dtypeError(op, 'int32 indices', indices);
  const at = axisOf(op, x, axis);
  const fits = x.shape.length === indices.shape.length && indices.shape.every((d, i) => i === at || d <= x.shape[i]);
  if (!fits) throw shapeError(op, `off axis ${at} the indices must fit into the data`, x, indices);
  return at;
}
