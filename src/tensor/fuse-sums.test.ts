// That additions are folded into products only where nothing else sees the product, and that the numbers stay the same.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Graph, type Value } from './graph.ts';
import { createNativeRuntime } from './native-runtime.ts';
import { noise } from './operator-case.ts';
import { add } from './ops.ts';
import { addRows } from './ops-index.ts';
import { gemm } from './ops-matrix.ts';
import { zeros } from './ops-shape.ts';

function graphOf(build: (graph: Graph, a: Value, b: Value, x: Value) => Value): Graph {
  const graph = new Graph();
  const input = (name: string) => graph.input(name, 'float32', [3, 3]);
  graph.output('y', build(graph, input('a'), input('b'), input('x')));
  return graph;
}
const operators = (graph: Graph): string[] => graph.data().nodes.map((node) => node.op);

describe('fuseSums', async () => {
  const runtime = await createNativeRuntime({ threads: 1 });
  after(() => runtime.close());
  const [a, b, x] = [1, 2, 3].map((seed) => noise(9, seed));
  const run = async (graph: Graph): Promise<number[]> => {
    const program = await runtime.load(graph.compile());
    const tensor = (data: Float32Array) => ({ dtype: 'float32', shape: [3, 3], data }) as const;
    const { y } = await program.run({ a: tensor(a), b: tensor(b), x: tensor(x) });
    await program.close();
    return Array.from(y.data);
  };
  const product = (left: Float32Array, right: Float32Array): number[] =>
    Array.from({ length: 9 }, (_, i) => {
      const [row, column] = [Math.floor(i / 3), i % 3];
      return [0, 1, 2].reduce((sum, k) => sum + left[row * 3 + k] * right[k * 3 + column], 0);
    });
  const near = (actual: number[], expected: number[]): void => {
    assert.equal(actual.length, expected.length);
    for (const [i, value] of expected.entries()) assert.ok(Math.abs(actual[i] - value) < 1e-5, `${i}`);
  };

  it('folds an addition into the product, whichever side it stands on', async () => {
    for (const graph of [graphOf((_, a, b, x) => add(gemm(a, b), x)), graphOf((_, a, b, x) => add(x, gemm(a, b)))]) {
      assert.deepEqual(operators(graph), ['Gemm']);
      near(
        await run(graph),
        product(a, b).map((value, i) => value + x[i]),
      );
    }
  });

  it('chains sums of products', async () => {
    const graph = graphOf((_, a, b, x) => add(add(gemm(a, b), gemm(b, x)), gemm(x, a)));
    assert.deepEqual(operators(graph), ['Gemm', 'Gemm', 'Gemm']);
    const parts = [product(a, b), product(b, x), product(x, a)];
    near(
      await run(graph),
      parts[0].map((value, i) => value + parts[1][i] + parts[2][i]),
    );
  });

  it('adds rows to what is there instead of to zeros', () => {
    const rows = (graph: Graph) => graph.constant('int32', [3], [0, 0, 2]);
    const fused = graphOf((graph, a, _, x) => add(x, addRows(zeros(a, [3, 3]), rows(graph), a)));
    assert.ok(!operators(fused).includes('Add'));
    const kept = graphOf((graph, a, b, x) => add(x, addRows(b, rows(graph), a)));
    assert.ok(operators(kept).includes('Add'));
  });

  it('leaves a product that something else uses, that has an addition already, or that would have to broadcast', () => {
    const twice = graphOf((_, a, b, x) => {
      const y = gemm(a, b);
      return add(add(y, x), gemm(y, b));
    });
    assert.equal(operators(twice).filter((op) => op === 'Add').length, 1);
    assert.ok(operators(graphOf((_, a, b, x) => add(gemm(a, b, { c: x }), a))).includes('Add'));
    const row = graphOf((graph, a, b) => add(gemm(a, b), graph.constant('float32', [3], [1, 2, 3])));
    assert.ok(operators(row).includes('Add'));
    const named = graphOf((graph, a, b, x) => {
      const y = gemm(a, b);
      graph.output('product', y);
      return add(y, x);
    });
    assert.ok(operators(named).includes('Add'));
  });
});
