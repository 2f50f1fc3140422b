// The runtime that tests lend programs from: what is lent again is as new, and nobody else's.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { TensorError } from './errors.ts';
import { Graph } from './graph.ts';
import { createNativeRuntime } from './native-runtime.ts';
import { add } from './ops.ts';
import type { CompiledGraph, Runtime, TensorData } from './runtime.ts';
import { reusingRuntime } from './testing/reusing-runtime.ts';

/** total ← total + x, with a state beside it. */
function adds(): CompiledGraph {
  const graph = new Graph();
  const total = graph.state('total', [2]);
  graph.advance(total, add(total, graph.input('x', 'float32', [2])));
  graph.output('own', add(graph.state('other', [1]), 1));
  return graph.compile();
}

/** total ← total + own, own ← own + 1. */
function shares(): CompiledGraph {
  const graph = new Graph();
  const [total, own] = [graph.state('total', [2]), graph.state('own', [2])];
  graph.advance(total, add(total, own));
  graph.advance(own, add(own, 1));
  return graph.compile();
}

const X: TensorData = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };

test('a program that is lent again begins with states of zero, and its last holder has lost it', async () => {
  let loads = 0;
  const native = await createNativeRuntime({ threads: 1 });
  const counted: Runtime = {
    ...{ class: native.class, close: () => native.close() },
    load: (graph) => {
      loads += 1;
      return native.load(graph);
    },
    loadSharing: (graph, owner) => {
      loads += 1;
      return native.loadSharing!(graph, owner);
    },
  };
  const runtime = reusingRuntime(counted);
  after(() => runtime.close());
  const use = async () => {
    const owner = await runtime.load(adds());
    await owner.run({ x: X });
    const sharing = await runtime.loadSharing(shares(), owner);
    await sharing.run({});
    await sharing.run({});
    const read = async (name: string) => [...(await sharing.readState([name])).get(name)!];
    assert.deepEqual(
      [await read('total'), await read('own')],
      [
        [2, 3],
        [2, 2],
      ],
    );
    return { owner, sharing };
  };
  const first = await use();
  await use();
  assert.equal(loads, 4, 'two at once are two');
  runtime.reclaim();
  const again = await use();
  assert.equal(loads, 4);
  for (const { run } of [first.owner, first.sharing]) {
    await assert.rejects(run({ x: X }), (error) => error instanceof TensorError && error.code === 'closed');
  }
  await assert.rejects(again.owner.run({}), TensorError);
  runtime.reclaim();
  await use();
  await use();
  assert.equal(loads, 6, 'what has failed is not lent again');
});
