// Operators that rearrange or sum elements: reshape, transpose, join, cut, expand, sum.
import { TensorError } from './errors.ts';
import { shapeError, type Value } from './graph.ts';
import { shapeText, sizeOf } from './shape.ts';

/** An axis counted from the front; a negative one counts from the back. */
export function axisOf(op: string, x: Value, axis: number): number {
  const resolved = axis < 0 ? axis + x.shape.length : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= x.shape.length) {
    throw shapeError(op, `axis ${axis} does not exist`, x);
  }
  return resolved;
}

/** The same elements in another shape of the same size; one dimension may be -1 and is then inferred. */
export function reshape(x: Value, shape: readonly number[]): Value {
  const known = shape.reduce((size, dimension) => (dimension === -1 ? size : size * dimension), 1);
  const full = shape.map((dimension) => (dimension === -1 ? sizeOf(x.shape) / known : dimension));
  if (
    !full.every(Number.isInteger) ||
    sizeOf(full) !== sizeOf(x.shape) ||
    shape.filter((dimension) => dimension === -1).length > 1
  ) {
    throw shapeError('Reshape', 'both shapes must hold the same number of elements', x, { dtype: x.dtype, shape });
  }
  if (shapeText(full) === shapeText(x.shape)) return x;
  const [y] = x.graph.node('Reshape', [x, x.graph.ints(full)], [{ dtype: x.dtype, shape: full }]);
  x.graph.record([x], [y], ([dy]) => [dy && reshape(dy, x.shape)]);
  return y;
}

/** Reorders axes: axis i of the result is axis `permutation[i]` of x. */
export function transpose(x: Value, permutation: readonly number[]): Value {
  const sorted = permutation.toSorted((a, b) => a - b);
  if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i)) {
    throw shapeError('Transpose', `the permutation [${permutation.join(', ')}] must name every axis once`, x);
  }
  const shape = permutation.map((axis) => x.shape[axis]);
  const [y] = x.graph.node('Transpose', [x], [{ dtype: x.dtype, shape }], {
    perm: { kind: 'ints', value: permutation },
  });
  const inverse = permutation.map((_, axis) => permutation.indexOf(axis));
  x.graph.record([x], [y], ([dy]) => [dy && transpose(dy, inverse)]);
  return y;
}

/** Swaps the last two axes. */
export function transposeLast(x: Value): Value {
  const rank = x.shape.length;
  if (rank < 2) throw shapeError('Transpose', 'swapping the last two axes needs rank 2', x);
  return transpose(x, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
}

/** Joins values along an axis; all other dimensions must agree. */
export function concat(values: readonly Value[], axis: number): Value {
  const [first] = values;
  if (!first) throw new TensorError('bad-graph', 'Concat: at least one value is needed, got none', { op: 'Concat' });
  const at = axisOf('Concat', first, axis);
  for (const value of values) {
    const fits =
      value.shape.length === first.shape.length && value.shape.every((d, i) => i === at || d === first.shape[i]);
    if (!fits) throw shapeError('Concat', `all but axis ${at} must agree`, first, value);
    if (value.dtype !== first.dtype) throw dtypeError('Concat', first.dtype, value);
  }
  if (values.length === 1) return first;
  const sizes = values.map((value) => value.shape[at]);
  const shape = first.shape.with(
    at,
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const [y] = first.graph.node('Concat', values, [{ dtype: first.dtype, shape }], { axis: { kind: 'int', value: at } });
  first.graph.record(values, [y], ([dy]) => (dy ? split(dy, sizes, at) : []));
  return y;
}

/** Cuts a value along an axis into pieces of these sizes. */
export function split(x: Value, sizes: readonly number[], axis: number): Value[] {
  const at = axisOf('Split', x, axis);
  if (sizes.reduce((sum, size) => sum + size, 0) !== x.shape[at]) {
    throw shapeError('Split', `the sizes [${sizes.join(', ')}] must add up to axis ${at}`, x);
  }
  if (sizes.length === 1) return [x];
  const types = sizes.map((size) => ({ dtype: x.dtype, shape: x.shape.with(at, size) }));
  const pieces = x.graph.node('Split', [x, x.graph.ints(sizes)], types, { axis: { kind: 'int', value: at } });
  x.graph.record([x], pieces, (dys) => {
    if (dys.every((dy) => !dy)) return [null];
    return [
      concat(
        dys.map((dy, i) => dy ?? zeros(x, types[i].shape)),
        at,
      ),
    ];
  });
  return pieces;
}

/** The elements from `start` up to, not including, `end` along an axis. */
export function slice(x: Value, axis: number, start: number, end: number): Value {
  const at = axisOf('Slice', x, axis);
  const length = x.shape[at];
  if (!(Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= length)) {
    throw shapeError('Slice', `[${start}, ${end}) must lie within axis ${at}`, x);
  }
  if (start === 0 && end === length) return x;
  const { graph } = x;
  const [y] = graph.node(
    'Slice',
    [x, graph.ints([start]), graph.ints([end]), graph.ints([at])],
    [{ dtype: x.dtype, shape: x.shape.with(at, end - start) }],
  );
  graph.record([x], [y], ([dy]) => {
    if (!dy) return [null];
    const pieces: Value[] = [];
    if (start > 0) pieces.push(zeros(x, x.shape.with(at, start)));
    pieces.push(dy);
    if (end < length) pieces.push(zeros(x, x.shape.with(at, length - end)));
    return [concat(pieces, at)];
  });
  return y;
}

/** Repeats dimensions of size 1 until the shape fits (numpy's broadcast_to). */
export function expand(x: Value, shape: readonly number[]): Value {
  if (shapeText(x.shape) === shapeText(shape)) return x;
  const offset = shape.length - x.shape.length;
  if (offset < 0 || x.shape.some((dimension, i) => dimension !== 1 && dimension !== shape[i + offset])) {
    throw shapeError('Expand', 'the first shape must broadcast to the second', x, { dtype: x.dtype, shape });
  }
  const [y] = x.graph.node('Expand', [x, x.graph.ints(shape)], [{ dtype: x.dtype, shape }]);
  x.graph.record([x], [y], ([dy]) => [dy && sumTo(dy, x.shape)]);
  return y;
}

/** Zeros of x's type. */
export function zeros(x: Value, shape: readonly number[]): Value {
  if (x.dtype !== 'float32' && x.dtype !== 'int32') throw dtypeError('zeros', 'float32 or int32', x);
  const zero = x.graph.scalar(0, x.dtype);
  const y = x.graph.untaped(() => expand(zero, shape));
  x.graph.markZero(y);
  return y;
}

/** The sum over some axes. With `keep` they stay as dimensions of size 1. */
export function reduceSum(x: Value, axes: readonly number[], keep = false): Value {
  return reduce('ReduceSum', x, axes, keep, (dy) => expand(dy, x.shape));
}

/** The mean over some axes. With `keep` they stay as dimensions of size 1. */
export function reduceMean(x: Value, axes: readonly number[], keep = false): Value {
  return reduce('ReduceMean', x, axes, keep, (dy, count) => {
    const { graph } = x;
    const [scaled] = graph.node('Mul', [dy, graph.scalar(1 / count)], [dy]);
    return expand(scaled, x.shape);
  });
}

/** The sum of all squares, as a scalar. */
export function sumOfSquares(x: Value): Value {
  const { graph } = x;
  const axes = x.shape.map((_, axis) => axis);
  return reduce('ReduceSumSquare', x, axes, false, (dy) => {
    const [twice] = graph.node('Mul', [dy, graph.scalar(2)], [dy]);
    return graph.node('Mul', [x, twice], [x])[0];
  });
}

function reduce(
  op: string,
  x: Value,
  axes: readonly number[],
  keep: boolean,
  gradient: (dy: Value, count: number) => Value,
): Value {
  if (x.dtype !== 'float32') throw dtypeError(op, 'float32', x);
  const at = [...new Set(axes.map((axis) => axisOf(op, x, axis)))].sort((a, b) => a - b);
  if (at.length === 0) return x;
  const kept = x.shape.map((dimension, axis) => (at.includes(axis) ? 1 : dimension));
  const shape = keep ? kept : x.shape.filter((_, axis) => !at.includes(axis));
  const [y] = x.graph.node(op, [x, x.graph.ints(at)], [{ dtype: x.dtype, shape }], {
    keepdims: { kind: 'int', value: keep ? 1 : 0 },
  });
  const count = sizeOf(at.map((axis) => x.shape[axis]));
  x.graph.record([x], [y], ([dy]) => [dy && gradient(reshape(dy, kept), count)]);
  return y;
}

/** The inverse of broadcasting: sums until the shape is `shape` again. */
export function sumTo(x: Value, shape: readonly number[]): Value {
  if (shapeText(x.shape) === shapeText(shape)) return x;
  const offset = x.shape.length - shape.length;
  const axes = x.shape.flatMap((dimension, i) => {
    if (i < offset) return [i];
    return shape[i - offset] === 1 && dimension !== 1 ? [i] : [];
  });
  return reshape(reduceSum(x, axes, true), shape);
}

/** The error of an operator for a wrong element type. */
export function dtypeError(op: string, expected: string, x: Value): TensorError {
  return new TensorError('bad-dtype', `${op}: expected ${expected}, got ${x.dtype} ${shapeText(x.shape)}`, { op });
}
