// That operators infer shapes, and refuse what does not fit with an error that names the operator and both shapes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TensorError, type TensorErrorCode } from './errors.ts';
import { Graph } from './graph.ts';
import { add, cast, equal, log, mul, where } from './ops.ts';
import { gatherElements, gatherRows, scatterAdd } from './ops-index.ts';
import { gemm, matmul } from './ops-matrix.ts';
import { concat, expand, reduceSum, reshape, slice, split, transpose } from './ops-shape.ts';

function inputs() {
  const graph = new Graph();
  const float = (name: string, ...shape: number[]) => graph.input(name, 'float32', shape);
  return { graph, float, a: float('a', 2, 3), b: float('b', 4, 5), i: graph.input('i', 'int32', [2]) };
}

function refuses(code: TensorErrorCode, pattern: RegExp, build: () => unknown): void {
  assert.throws(build, (error) => {
    assert.ok(error instanceof TensorError);
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  });
}

describe('shapes', () => {
  it('are inferred', () => {
    const { graph, float, a, b, i } = inputs();
    const x = float('x', 2, 1, 4, 3);
    assert.deepEqual(add(a, float('row', 1, 3)).shape, [2, 3]);
    assert.deepEqual(matmul(x, float('y', 5, 3, 7)).shape, [2, 5, 4, 7]);
    assert.deepEqual(gemm(a, float('z', 6, 2), { transA: true, transB: true }).shape, [3, 6]);
    assert.deepEqual(transpose(x, [3, 0, 2, 1]).shape, [3, 2, 4, 1]);
    assert.deepEqual(reshape(x, [6, -1]).shape, [6, 4]);
    assert.deepEqual(concat([a, float('c', 2, 2)], -1).shape, [2, 5]);
    assert.deepEqual(
      split(b, [1, 4], 1).map((part) => part.shape),
      [
        [4, 1],
        [4, 4],
      ],
    );
    assert.deepEqual(reduceSum(x, [0, -1]).shape, [1, 4]);
    assert.deepEqual(gatherRows(b, i).shape, [2, 5]);
    assert.equal(equal(i, 3).dtype, 'bool');
    assert.equal(cast(i, 'float32').dtype, 'float32');
    assert.equal(reshape(a, [2, 3]), a);
    assert.equal(graph.scalar(2), graph.scalar(2));
  });

  it('that do not fit are named', () => {
    const { float, a, b, i, graph } = inputs();
    refuses('bad-shape', /^Add: .*\[2, 3\] and \[4, 5\]/, () => add(a, b));
    refuses('bad-shape', /^MatMul: .*\[2, 3\] and \[4, 5\]/, () => matmul(a, b));
    refuses('bad-shape', /^Gemm: .*transA true.*\[2, 3\] and \[4, 5\]/, () => gemm(a, b, { transA: true }));
    refuses('bad-shape', /^Gemm: C .*\[2, 5\], got \[3\]/, () => gemm(a, float('d', 3, 5), { c: float('c', 3) }));
    refuses('bad-shape', /^Reshape: .*\[2, 3\] and \[4, 2\]/, () => reshape(a, [4, 2]));
    refuses('bad-shape', /^Reshape: .*\[2, 3\] and \[4, -1\]/, () => reshape(a, [4, -1]));
    refuses('bad-shape', /^Transpose: .*\[2, 3\]/, () => transpose(a, [0, 0]));
    refuses('bad-shape', /^Concat: .*\[2, 3\] and \[4, 5\]/, () => concat([a, b], 0));
    refuses('bad-shape', /^Split: .*\[1, 1\].*\[2, 3\]/, () => split(a, [1, 1], 1));
    refuses('bad-shape', /^Slice: .*\[2, 9\).*\[2, 3\]/, () => slice(a, 1, 2, 9));
    refuses('bad-shape', /^Expand: .*\[2, 3\] and \[2, 4\]/, () => expand(a, [2, 4]));
    refuses('bad-shape', /^ReduceSum: axis 2 .*\[2, 3\]/, () => reduceSum(a, [2]));
    refuses('bad-shape', /^Gather: .*\[2, 1, 3\] and \[2\]/, () => gatherRows(reshape(a, [2, 1, 3]), i));
    const wide = graph.constant('int32', [3, 1], [0, 0, 0]);
    refuses('bad-shape', /^GatherElements: .*\[2, 3\] and \[3, 1\]/, () => gatherElements(a, wide, 1));
    refuses('bad-shape', /^ScatterElements: .*\[2, 3\] and \[3, 1\]/, () => scatterAdd(a, wide, wide, 1));
    refuses('bad-shape', /positive integer, got \[2, 0\]/, () => float('e', 2, 0));
  });

  it('element types and names are checked too', () => {
    const { graph, float, a, i } = inputs();
    refuses('bad-dtype', /^Log: expected float32, got int32/, () => log(i));
    refuses('bad-dtype', /^Mul: expected float32 on both sides, got int32/, () => mul(a, i));
    refuses('bad-dtype', /^Where: .*bool/, () => where(a, 1, 0));
    refuses('bad-name', /"a"/, () => float('a', 1));
    refuses('bad-length', /holds 4 values, got 3/, () => graph.constant('float32', [2, 2], [1, 2, 3]));
    refuses('bad-graph', /another graph/, () => add(a, new Graph().input('z', 'float32', [3])));
  });
});

describe('a finished graph', () => {
  it('holds only what its outputs need, under their public names', () => {
    const { graph, a } = inputs();
    const doubled = mul(a, 2);
    mul(a, 3); // nobody asks for it
    graph.output('y', doubled);
    graph.output('same', doubled);
    graph.output('through', a);
    const { nodes, outputs, constants } = graph.data();
    assert.deepEqual(
      nodes.map((node) => node.op),
      ['Mul', 'Identity', 'Identity'],
    );
    assert.deepEqual(
      outputs.map((output) => output.name),
      ['y', 'same', 'through'],
    );
    assert.equal(constants.length, 1);
    const made = new Set(['a', 'b', 'i', ...constants.map((constant) => constant.name)]);
    for (const node of nodes) {
      for (const name of node.inputs) assert.ok(made.has(name), `${name} is used before it is made`);
      for (const name of node.outputs) made.add(name);
    }
    for (const output of outputs) assert.ok(made.has(output.name));
  });

  it('lists states with their successors', () => {
    const graph = new Graph();
    const [w, frozen] = [graph.state('w', [2]), graph.state('frozen', [2])];
    graph.advance(w, add(w, frozen));
    assert.deepEqual(graph.compile().states, [
      { name: 'w', next: 'w/next', shape: [2] },
      { name: 'frozen', next: null, shape: [2] },
    ]);
    refuses('bad-shape', /\[2\] and \[3\]/, () => graph.advance(w, graph.constant('float32', [3], [1, 2, 3])));
    refuses('bad-graph', /not a state/, () => graph.advance(add(w, 1), w));
  });
});
