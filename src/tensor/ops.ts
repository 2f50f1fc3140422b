// Elementwise operators with numpy's broadcasting, each with its derivative.
import { TensorError } from './errors.ts';
import { type Graph, shapeError, type Value } from './graph.ts';
import type { DType } from './ir.ts';
import { dtypeError, sumTo } from './ops-shape.ts';

/** An operand: a value of the graph, or a number that becomes a scalar constant. */
export type Operand = Value | number;

/** The shape that two shapes broadcast to. */
export function broadcastShape(op: string, a: Value, b: Value): number[] {
  const rank = Math.max(a.shape.length, b.shape.length);
  return Array.from({ length: rank }, (_, i) => {
    const left = a.shape[i - rank + a.shape.length] ?? 1;
    const right = b.shape[i - rank + b.shape.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) throw shapeError(op, 'the shapes must broadcast', a, b);
    return Math.max(left, right);
  });
}

type BinaryGradient = (dy: Value, a: Value, b: Value, y: Value) => Value;

/** One elementwise operator of two operands. The derivatives come with the broadcast shape; this function undoes the broadcasting. */
function binary(
  op: string,
  x: Operand,
  y: Operand,
  da: BinaryGradient | null,
  db: BinaryGradient | null,
  out?: DType,
): Value {
  const graph = graphOf(op, x, y);
  const dtype = typeof x === 'number' ? (y as Value).dtype : x.dtype;
  if (dtype !== 'float32' && dtype !== 'int32') {
    throw dtypeError(op, 'float32 or int32', (typeof x === 'number' ? y : x) as Value);
  }
  const a = typeof x === 'number' ? graph.scalar(x, dtype) : x;
  const b = typeof y === 'number' ? graph.scalar(y, dtype) : y;
  if (b.dtype !== dtype) throw dtypeError(op, `${dtype} on both sides`, b);
  const [result] = graph.node(op, [a, b], [{ dtype: out ?? dtype, shape: broadcastShape(op, a, b) }]);
  if (da && db && dtype === 'float32') {
    graph.record([a, b], [result], ([dy], wanted) => [
      dy && wanted[0] ? sumTo(da(dy, a, b, result), a.shape) : null,
      dy && wanted[1] ? sumTo(db(dy, a, b, result), b.shape) : null,
    ]);
  }
  return result;
}

function graphOf(op: string, ...operands: readonly Operand[]): Graph {
  for (const operand of operands) if (typeof operand !== 'number') return operand.graph;
  throw new TensorError('bad-graph', `${op}: at least one operand must be a value of a graph, got only numbers`, {
    op,
  });
}

export function add(a: Operand, b: Operand): Value {
  return binary(
    'Add',
    a,
    b,
    (dy) => dy,
    (dy) => dy,
  );
}

export function sub(a: Operand, b: Operand): Value {
  return binary(
    'Sub',
    a,
    b,
    (dy) => dy,
    (dy) => neg(dy),
  );
}

export function mul(a: Operand, b: Operand): Value {
  return binary(
    'Mul',
    a,
    b,
    (dy, _, right) => mul(dy, right),
    (dy, left) => mul(dy, left),
  );
}

export function div(a: Operand, b: Operand): Value {
  return binary(
    'Div',
    a,
    b,
    (dy, _, right) => div(dy, right),
    (dy, _, right, y) => neg(mul(dy, div(y, right))),
  );
}

/** The smaller of two; where they are equal the gradient goes to `b`. */
export function minimum(a: Operand, b: Operand): Value {
  return binary(
    'Min',
    a,
    b,
    (dy, l, r) => where(less(l, r), dy, 0),
    (dy, l, r) => where(less(l, r), 0, dy),
  );
}

/** The larger of two; where they are equal the gradient goes to `b`. */
export function maximum(a: Operand, b: Operand): Value {
  return binary(
    'Max',
    a,
    b,
    (dy, l, r) => where(less(r, l), dy, 0),
    (dy, l, r) => where(less(r, l), 0, dy),
  );
}

/** a < b, as bool; no gradient. */
export function less(a: Operand, b: Operand): Value {
  return binary('Less', a, b, null, null, 'bool');
}

/** a = b, as bool; no gradient. */
export function equal(a: Operand, b: Operand): Value {
  return binary('Equal', a, b, null, null, 'bool');
}

/** `a` where the condition holds, otherwise `b`; all three broadcast. */
export function where(condition: Value, a: Operand, b: Operand): Value {
  if (condition.dtype !== 'bool') throw dtypeError('Where', 'a bool condition', condition);
  const { graph } = condition;
  const dtype = typeof a === 'number' ? (typeof b === 'number' ? 'float32' : b.dtype) : a.dtype;
  if (dtype !== 'float32' && dtype !== 'int32')
    throw dtypeError('Where', 'float32 or int32', (a as Value) ?? condition);
  const left = typeof a === 'number' ? graph.scalar(a, dtype) : a;
  const right = typeof b === 'number' ? graph.scalar(b, dtype) : b;
  if (right.dtype !== dtype) throw dtypeError('Where', `${dtype} on both sides`, right);
  const both = { ...left, shape: broadcastShape('Where', left, right) };
  const [y] = graph.node(
    'Where',
    [condition, left, right],
    [{ dtype, shape: broadcastShape('Where', condition, both) }],
  );
  graph.record([left, right], [y], ([dy], wanted) => [
    dy && wanted[0] ? sumTo(where(condition, dy, 0), left.shape) : null,
    dy && wanted[1] ? sumTo(where(condition, 0, dy), right.shape) : null,
  ]);
  return y;
}

/** One elementwise operator of one float32 operand. */
function unary(op: string, x: Value, dx: (dy: Value, y: Value) => Value): Value {
  if (x.dtype !== 'float32') throw dtypeError(op, 'float32', x);
  const [y] = x.graph.node(op, [x], [x]);
  x.graph.record([x], [y], ([dy]) => [dy && dx(dy, y)]);
  return y;
}

export function neg(x: Value): Value {
  return unary('Neg', x, (dy) => neg(dy));
}

export function sqrt(x: Value): Value {
  return unary('Sqrt', x, (dy, y) => div(mul(dy, 0.5), y));
}

export function reciprocal(x: Value): Value {
  return unary('Reciprocal', x, (dy, y) => neg(mul(dy, mul(y, y))));
}

/** The natural logarithm. */
export function log(x: Value): Value {
  return unary('Log', x, (dy) => div(dy, x));
}

export function exp(x: Value): Value {
  return unary('Exp', x, (dy, y) => mul(dy, y));
}

/** 1 / (1 + exp(-x)). */
export function sigmoid(x: Value): Value {
  return unary('Sigmoid', x, (dy, y) => mul(dy, mul(y, sub(1, y))));
}

/** Converts to another element type; a gradient passes only from float32 to float32. */
export function cast(x: Value, dtype: 'float32' | 'int32'): Value {
  if (x.dtype === dtype) return x;
  const to = { float32: 1, int32: 6 }[dtype]; // TensorProto.DataType of onnx.proto
  const [y] = x.graph.node('Cast', [x], [{ dtype, shape: x.shape }], { to: { kind: 'int', value: to } });
  return y;
}

/** Softmax over the last axis. */
export function softmax(x: Value): Value {
  if (x.dtype !== 'float32' || x.shape.length === 0) throw dtypeError('Softmax', 'float32 of rank 1 or more', x);
  const [y] = x.graph.node('Softmax', [x], [x], { axis: { kind: 'int', value: x.shape.length - 1 } });
  x.graph.record([x], [y], ([dy]) => {
    if (!dy) return [null];
    const weighted = mul(dy, y);
    return [sub(weighted, mul(y, sumTo(weighted, x.shape.with(-1, 1))))];
  });
  return y;
}
