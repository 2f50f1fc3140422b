// That every operator's gradient agrees with finite differences on every runtime, and that a wrong one would be noticed.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { TensorError } from './errors.ts';
import { gradients } from './gradient.ts';
import { Graph, type Value } from './graph.ts';
import { createNativeRuntime } from './native-runtime.ts';
import { OPERATOR_CASES, one } from './operator-cases.ts';
import * as elementwise from './ops.ts';
import { add, equal, mul } from './ops.ts';
import * as indexing from './ops-index.ts';
import * as products from './ops-matrix.ts';
import * as shapes from './ops-shape.ts';
import type { Runtime } from './runtime.ts';
import { gradientError } from './testing/gradient-check.ts';
import { createWasmRuntime } from './wasm-runtime.ts';

/** float32 rounding and the step of the differences together stay well below; a wrong rule is off by far more. */
const TOLERANCE = 2e-3;

/** Exports that have no gradient, or are no operators. */
const WITHOUT_GRADIENT = [
  'less',
  'equal',
  'cast',
  'zeros',
  'axisOf',
  'broadcastShape',
  'dtypeError',
  'beforeTransposed',
];

const RUNTIMES: Readonly<Record<string, () => Promise<Runtime>>> = {
  native: () => createNativeRuntime({ threads: 2 }),
  wasm: () => createWasmRuntime({ threads: 2 }),
};

it('every operator has a case', () => {
  const exported = [elementwise, indexing, products, shapes].flatMap((module) => Object.keys(module));
  assert.deepEqual(
    exported.filter((name) => !WITHOUT_GRADIENT.includes(name)).sort(),
    Object.keys(OPERATOR_CASES).sort(),
  );
});

for (const [name, create] of Object.entries(RUNTIMES)) {
  describe(`gradients on ${name}`, async () => {
    const runtime = await create();
    after(() => runtime.close());
    for (const [operator, cases] of Object.entries(OPERATOR_CASES)) {
      it(operator, async () => {
        for (const [i, one] of cases.entries()) {
          const error = await gradientError(runtime, one);
          assert.ok(error < TOLERANCE, `case ${i}: off by ${error}`);
        }
      });
    }

    it('a wrong rule is noticed: sign, scale, and the right numbers in the wrong places', async () => {
      const wrong: ((dy: Value) => Value)[] = [
        (dy) => elementwise.neg(dy),
        (dy) => mul(dy, 1.01),
        (dy) => shapes.concat(shapes.split(dy, [2, 2], 0).reverse(), 0),
      ];
      for (const rule of wrong) {
        const error = await gradientError(
          runtime,
          one([4], (x) => {
            const y = x.graph.untaped(() => add(x, 1));
            x.graph.record([x], [y], ([dy]) => [rule(dy!)]);
            return y;
          }),
        );
        assert.ok(error > 2 * TOLERANCE, `passed with an error of ${error}`);
      }
    });

    it('repeated indices add up under load on several threads', async () => {
      // ScatterND(add) loses updates here; ScatterElements(add) must not.
      const rows = 4096;
      const graph = new Graph();
      const table = graph.input('table', 'float32', [3, 64]);
      const indices = graph.input('indices', 'int32', [rows]);
      const updates = graph.input('updates', 'float32', [rows, 64]);
      graph.output('sum', indexing.addRows(table, indices, updates));
      const program = await runtime.load(graph.compile());
      const at = Int32Array.from({ length: rows }, (_, i) => (i % 7) % 3);
      const counts = [0, 1, 2].map((row) => at.filter((index) => index === row).length);
      for (let round = 0; round < 5; round++) {
        const { sum } = await program.run({
          table: { dtype: 'float32', shape: [3, 64], data: new Float32Array(3 * 64) },
          indices: { dtype: 'int32', shape: [rows], data: at },
          updates: { dtype: 'float32', shape: [rows, 64], data: new Float32Array(rows * 64).fill(1) },
        });
        for (let i = 0; i < 3 * 64; i++) assert.equal(sum.data[i], counts[Math.floor(i / 64)]);
      }
      await program.close();
    });
  });
}

describe('gradients', () => {
  it('refuses a loss that is not a scalar, or that does not depend on a value', () => {
    const graph = new Graph();
    const [x, y] = [graph.input('x', 'float32', [2]), graph.input('y', 'float32', [2])];
    const code = (expected: string) => (error: unknown) => error instanceof TensorError && error.code === expected;
    assert.throws(() => gradients(mul(x, 2), [x]), code('no-gradient'));
    assert.throws(() => gradients(shapes.reduceSum(x, [0]), [y]), code('no-gradient'));
    // A comparison has no slope: what reaches the loss only through it has no gradient.
    const gate = elementwise.where(equal(x, y), graph.constant('float32', [2], [1, 2]), 0);
    assert.throws(() => gradients(shapes.reduceSum(gate, [0]), [x]), code('no-gradient'));
  });
});
