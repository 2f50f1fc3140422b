// Small cases of every operator that training needs: gradient.test.ts checks their gradients, a GPU's self-test and `npm run bench operators` compare runtimes by them.

import type { Graph, Value } from './graph.ts';
import { type GradientCase, tensor } from './operator-case.ts';
import * as elementwise from './ops.ts';
import { add, div, less, mul, sigmoid } from './ops.ts';
import * as indexing from './ops-index.ts';
import * as products from './ops-matrix.ts';
import { gemm } from './ops-matrix.ts';
import * as shapes from './ops-shape.ts';

const column = (graph: Graph, ...rows: number[]): Value =>
  graph.constant('int32', [rows.length], Int32Array.from(rows));
export const one = (
  shape: readonly number[],
  build: (x: Value, graph: Graph) => Value,
  low = -1,
  high = 1,
): GradientCase => ({
  inputs: [tensor(shape, 1, low, high)],
  build: ([x], graph) => build(x, graph),
});
const two = (
  a: readonly number[],
  b: readonly number[],
  build: (a: Value, b: Value) => Value,
  low = -1,
): GradientCase => ({
  inputs: [tensor(a, 1, low, 2), tensor(b, 2, low, 2)],
  build: ([x, y]) => build(x, y),
});
const gemmCase = (transA: boolean, transB: boolean): GradientCase => ({
  inputs: [tensor(transA ? [3, 2] : [2, 3], 1), tensor(transB ? [4, 3] : [3, 4], 2), tensor([4], 3)],
  build: ([a, b, c]) => gemm(a, b, { transA, transB, alpha: 0.7, c }),
});

/** A column as a matrix of this width, with different numbers everywhere. */
const wide = (x: Value, width: number): Value => {
  const { shape, data } = tensor([x.shape[0], width], 5);
  return mul(x, x.graph.constant('float32', shape, data));
};

/** Cases by the exported function that they test. */
export const OPERATOR_CASES: Readonly<Record<string, readonly GradientCase[]>> = {
  add: [two([2, 3], [3], add), two([2, 1, 2], [3, 1], add), one([3], (x) => add(x, x))],
  sub: [two([3], [2, 3], elementwise.sub), one([2], (x) => elementwise.sub(1, x))],
  mul: [
    two([2, 3], [2, 1], mul),
    two([2, 3], [1], (a, b) => mul(a, shapes.reshape(b, []))),
    one([3], (x) => mul(x, x)),
  ],
  div: [two([2, 3], [3], div, 1), one([3], (x) => div(2, x), 1, 2)],
  // The difference steps stay on one side of the kink.
  minimum: [one([4], (x, g) => elementwise.minimum(x, g.constant('float32', [4], Float32Array.of(9, -9, 9, -9))))],
  maximum: [one([4], (x, g) => elementwise.maximum(x, g.constant('float32', [4], Float32Array.of(9, -9, 9, -9))))],
  where: [two([2, 3], [3], (a, b) => elementwise.where(less(a.graph.constant('float32', [3], [1, 0, 2]), 1.5), a, b))],
  neg: [one([3], elementwise.neg)],
  sqrt: [one([4], elementwise.sqrt, 1, 3)],
  reciprocal: [one([4], elementwise.reciprocal, 1, 3)],
  log: [one([4], elementwise.log, 1, 3)],
  exp: [one([4], elementwise.exp)],
  sigmoid: [one([5], sigmoid, -3, 3)],
  softmax: [one([2, 5], elementwise.softmax), one([2, 2, 3], elementwise.softmax, -3, 3)],
  matmul: [
    two([2, 3], [3, 4], products.matmul),
    two([2, 2, 3], [2, 3, 2], products.matmul),
    two([2, 1, 2, 3], [3, 3, 2], products.matmul),
  ],
  gemm: [
    ...[false, true].flatMap((a) => [false, true].map((b) => gemmCase(a, b))),
    // So wide that the weight's gradient transposes one operand beforehand: the narrower one, each of the two in one case.
    ...[300, 257].map((rows) => two([4, 1], [rows, 1], (a, b) => gemm(wide(a, 260), wide(b, 260), { transB: true }))),
  ],
  outerSum: [
    two([2, 3], [2, 4], (a, b) => products.outerSum(a, b, { alpha: 0.7 })),
    two([4, 1], [4, 2], (a, b) => {
      const [left, right] = [wide(a, 270), wide(shapes.slice(b, 1, 0, 1), 260)];
      const before = products.outerSum(left, wide(shapes.slice(b, 1, 1, 2), 260));
      return products.outerSum(left, right, { alpha: 0.7, c: before });
    }),
  ],
  transposed: [one([4, 3], products.transposed), one([3, 2], products.transposed)],
  reshape: [one([2, 6], (x) => mul(shapes.reshape(x, [3, -1]), shapes.reshape(x, [3, 4])))],
  transpose: [one([2, 3, 2], (x) => shapes.transpose(x, [2, 0, 1]))],
  transposeLast: [one([2, 3, 2], shapes.transposeLast)],
  concat: [two([2, 1], [2, 3], (a, b) => shapes.concat([a, b, a], 1))],
  split: [
    one([2, 5], (x) => mul(...(shapes.split(x, [2, 2, 1], -1).slice(0, 2) as [Value, Value]))),
    one([3, 2], (x) => shapes.split(x, [1, 2], 0)[1]),
  ],
  slice: [one([2, 5], (x) => shapes.slice(x, 1, 1, 3)), one([4, 2], (x) => shapes.slice(x, 0, 2, 4))],
  expand: [one([2, 1], (x) => shapes.expand(x, [3, 2, 4]))],
  reduceSum: [one([2, 3, 2], (x) => shapes.reduceSum(x, [0, -1])), one([2, 3], (x) => shapes.reduceSum(x, [1], true))],
  reduceMean: [one([2, 3, 2], (x) => shapes.reduceMean(x, [1])), one([2, 3], (x) => shapes.reduceMean(x, [0], true))],
  sumOfSquares: [one([2, 3], shapes.sumOfSquares)],
  sumTo: [one([2, 3, 4], (x) => shapes.sumTo(x, [3, 1]))],
  gatherRows: [
    one([4, 3], (x, g) => indexing.gatherRows(x, column(g, 2, 0, 2, 2, 3))),
    // A table too long for the one-hot product: rows are added one by one.
    one([2, 1], (x, g) =>
      indexing.gatherRows(shapes.expand(shapes.reshape(x, [1, 2]), [2000, 2]), column(g, 1999, 7, 7)),
    ),
  ],
  addRows: [two([4, 2], [3, 2], (table, rows) => indexing.addRows(table, column(table.graph, 1, 1, 3), rows))],
  gatherElements: [
    one([3, 4], (x, g) => indexing.gatherElements(x, g.constant('int32', [3, 2], [0, 3, 1, 1, 2, 0]), 1)),
  ],
  scatterAdd: [
    two([3, 2], [4, 2], (x, updates) =>
      indexing.scatterAdd(x, x.graph.constant('int32', [4, 2], [0, 1, 0, 2, 2, 2, 0, 1]), updates, 0),
    ),
  ],
};
