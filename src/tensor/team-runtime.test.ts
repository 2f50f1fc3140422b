// Tests of graphs in stages: memory that several use, runs in turns, and what a team must refuse or survive.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { TensorError, type TensorErrorCode } from './errors.ts';
import { Graph } from './graph.ts';
import { createNativeRuntime } from './native-runtime.ts';
import { add, mul } from './ops.ts';
import { gatherRows } from './ops-index.ts';
import { reduceSum } from './ops-shape.ts';
import type { CompiledGraph, StagedGraph, TensorData } from './runtime.ts';

const f32 = (...values: number[]): TensorData => ({
  dtype: 'float32',
  shape: [values.length],
  data: Float32Array.from(values),
});
const row = (index: number): TensorData => ({ dtype: 'int32', shape: [1], data: Int32Array.of(index) });

/** sum ← sum + table[row] · x */
function addsRow(): CompiledGraph {
  const graph = new Graph();
  const sum = graph.state('sum', [1, 2]);
  const table = graph.state('table', [4, 2]);
  graph.advance(
    sum,
    add(sum, mul(gatherRows(table, graph.input('row', 'int32', [1])), graph.input('x', 'float32', [2]))),
  );
  return graph.compile();
}

/** total ← total + sum/0 + sum/1; returns the sum of it. */
function addsSums(): CompiledGraph {
  const graph = new Graph();
  const total = graph.state('total', [1, 2]);
  const next = add(total, add(graph.state('sum/0', [1, 2]), graph.state('sum/1', [1, 2])));
  graph.advance(total, next);
  graph.output('all', reduceSum(next, [0, 1]));
  return graph.compile();
}

/** Doubles what an earlier stage returned. */
function doubles(): CompiledGraph {
  const graph = new Graph();
  graph.output('twice', mul(graph.input('all', 'float32', []), 2));
  return graph.compile();
}

const part = (index: number, rows: readonly number[]) => ({
  graph: addsRow(),
  memory: new Map([['sum', `sum/${index}`]]),
  runs: rows.map((at) => ({ row: row(at) })),
});

const staged = (rows: readonly number[] = [2]): StagedGraph => ({
  stages: [[part(0, [0, 1]), part(1, rows)], [{ graph: addsSums() }], [{ graph: doubles() }]],
  outputs: ['all', 'twice'],
  scratch: ['sum/0', 'sum/1'],
});

const refused = (code: TensorErrorCode) => (error: unknown) => error instanceof TensorError && error.code === code;

describe('a native runtime with two threads', async () => {
  const runtime = await createNativeRuntime({ threads: 2 });
  after(() => runtime.close());
  const { load, width } = runtime.staged!;
  const table = Float32Array.of(1, 10, 2, 20, 3, 30, 4, 40);

  test('runs stages one after another over memory that their graphs share', async () => {
    assert.equal(width, 2);
    const program = await load(staged());
    await program.writeState(new Map([['table', table]]));
    const { all, twice } = await program.run({ x: f32(1, 2) });
    assert.deepEqual([all.data[0], twice.data[0]], [126, 252]); // (1 + 2 + 3) · 1 + (10 + 20 + 30) · 2
    const states = await program.readState(['sum/0', 'sum/1', 'total']);
    assert.deepEqual(
      [...states.values()].map((values) => [...values]),
      [
        [3, 60],
        [3, 60],
        [6, 120],
      ],
    );
    await program.close();
    await assert.rejects(program.run({ x: f32(1, 2) }), refused('closed'));
  });

  test('queues calls in order, and leaves the caller its arrays', async () => {
    const program = await load(staged());
    const own = table.slice();
    const first = program.writeState(new Map([['table', own]]));
    const before = program.run({ x: f32(1, 0) });
    const changed = program.writeState(new Map([['table', own.fill(0)]]));
    own.fill(7);
    const later = program.run({ x: f32(1, 0) });
    await Promise.all([first, changed]);
    assert.equal((await before).all.data[0], 6);
    assert.equal((await later).all.data[0], 12, 'nothing was added, and the sums were added to the total once more');
    const read = (await program.readState(['table'])).get('table')!;
    assert.deepEqual([...read], [0, 0, 0, 0, 0, 0, 0, 0]);
    await program.close();
  });

  test('refuses wrong names and lengths, and sets nothing when one of several is wrong', async () => {
    const program = await load(staged());
    const wrong = (name: string, length: number) =>
      new Map([
        ['table', table],
        [name, new Float32Array(length)],
      ]);
    await assert.rejects(program.writeState(wrong('nobody', 1)), refused('unknown-name'));
    await assert.rejects(program.writeState(wrong('total', 3)), refused('bad-length'));
    await assert.rejects(program.readState(['nobody']), refused('unknown-name'));
    await assert.rejects(program.run({ x: f32(1, 1), y: f32(1) }), refused('unknown-name'));
    await assert.rejects(program.run({}), refused('missing-input'));
    assert.deepEqual([...(await program.readState(['table'])).get('table')!], new Array(8).fill(0));
    await program.close();
  });

  test('a run that fails leaves no half-made sums behind', async () => {
    const program = await load(staged([9]));
    await program.writeState(new Map([['table', table]]));
    await assert.rejects(program.run({ x: f32(1, 1) }), refused('run-failed'));
    for (const values of (await program.readState(['sum/0', 'sum/1', 'total'])).values())
      assert.deepEqual([...values], [0, 0]);
    await program.close();
  });

  test('refuses parts of a stage that would write what another part uses, and states of two lengths', async () => {
    const both = { ...staged(), stages: [[part(0, [0]), part(0, [1])]] };
    await assert.rejects(load(both), refused('bad-graph'));
    const graph = new Graph();
    graph.output('y', reduceSum(graph.state('total', [3]), [0]));
    await assert.rejects(
      load({ ...staged(), stages: [...staged().stages, [{ graph: graph.compile() }]] }),
      refused('bad-graph'),
    );
  });

  test('refuses shared memory to a state that cannot be updated in place', async () => {
    const graph = new Graph();
    const total = graph.state('total', [2]);
    graph.advance(total, add(total, 1));
    graph.output('before', reduceSum(total, [0])); // may run after the update
    await assert.rejects(
      load({ stages: [[{ graph: graph.compile() }]], outputs: [], scratch: [] }),
      refused('bad-graph'),
    );
  });
});

test('a closed team loads nothing', async () => {
  const runtime = await createNativeRuntime({ threads: 2 });
  await runtime.close();
  await assert.rejects(runtime.staged!.load(staged()), refused('closed'));
  await assert.rejects(runtime.load(addsRow()), refused('closed'));
});
