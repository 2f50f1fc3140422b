// Tests of several graphs over the same states: each sees what the others write, and what must be refused.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { TensorError, type TensorErrorCode } from './errors.ts';
import { Graph } from './graph.ts';
import { createNativeRuntime } from './native-runtime.ts';
import { add } from './ops.ts';
import type { CompiledGraph, Program, Runtime, TensorData } from './runtime.ts';
import { accumulator } from './testing/runtime-compliance.ts';
import { createWasmRuntime } from './wasm-runtime.ts';

const X: TensorData = { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
const refused = (code: TensorErrorCode, mention = '') => {
  return (error: unknown) => error instanceof TensorError && error.code === code && error.message.includes(mention);
};

/** total ← total + total, in place where a runtime can; and a state that the accumulator does not have. */
function doublesTotal(shape = [2, 3]): CompiledGraph {
  const graph = new Graph();
  const total = graph.state('total', shape);
  graph.advance(total, add(total, total));
  graph.output('own copy', add(graph.state('own', [1]), 1));
  return graph.compile();
}

const RUNTIMES: Readonly<Record<string, () => Promise<Runtime>>> = {
  native: () => createNativeRuntime({ threads: 1 }),
  wasm: () => createWasmRuntime({ threads: 1 }),
};

for (const [name, create] of Object.entries(RUNTIMES)) {
  test(`programs over the same states see what each of them writes, and outlive each other, on ${name}`, async () => {
    const runtime = await create();
    after(() => runtime.close());
    const owner = await runtime.load(accumulator());
    await owner.writeState(new Map([['scale', Float32Array.of(0.5)]]));
    const sharing = await runtime.loadSharing!(doublesTotal(), owner);
    const total = async (program: Program) => [...(await program.readState(['total'])).get('total')!];

    await owner.run({ x: X });
    const once = [0.5, 1, 1.5, 2, 2.5, 3];
    assert.deepEqual(await total(sharing), once);
    await sharing.run({});
    const twice = once.map((value) => 2 * value);
    assert.deepEqual(await total(owner), twice);
    const { old_sum } = await owner.run({ x: X });
    assert.equal(old_sum.data[0], 21);
    await sharing.writeState(new Map([['total', new Float32Array(6).fill(3)]]));
    assert.deepEqual(await total(owner), new Array(6).fill(3));
    assert.deepEqual([...(await sharing.readState(['own'])).get('own')!], [0]);

    await assert.rejects(runtime.loadSharing!(doublesTotal([3, 2]), sharing), refused('bad-graph', '[3,2]'));
    await owner.close();
    await assert.rejects(runtime.loadSharing!(doublesTotal(), owner), refused('closed'));
    await sharing.run({});
    assert.deepEqual(await total(sharing), new Array(6).fill(6));
    const other = await create();
    await assert.rejects(other.loadSharing!(doublesTotal(), sharing), refused('bad-argument'));
    await other.close();
  });
}
