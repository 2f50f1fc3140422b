// A runtime that remembers gives what the one beneath gives, computes nothing twice, and says what that spared.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Program, Runtime, TensorData } from '../tensor/runtime.ts';
import { accumulator, runtimeSuite } from '../tensor/testing/runtime-compliance.ts';
import { rememberingRuntime } from './remembering-runtime.ts';

runtimeSuite('remembering', async (threads) => rememberingRuntime(await createNativeRuntime({ threads })));

const x: TensorData = { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };

/** The native runtime, which burns time in each run and counts them. */
async function counted() {
  const inner = await createNativeRuntime({ threads: 1 });
  const count = { loads: 0, runs: 0 };
  const runtime: Runtime = {
    class: inner.class,
    async load(graph) {
      count.loads++;
      const program = await inner.load(graph);
      return {
        ...{ writeState: program.writeState.bind(program), readState: program.readState.bind(program) },
        run(inputs) {
          count.runs++;
          const before = process.cpuUsage();
          const used_us = ({ user, system } = process.cpuUsage(before)): number => user + system;
          while (used_us() < 20_000);
          return program.run(inputs);
        },
        close: () => program.close(),
      };
    },
    close: () => inner.close(),
  };
  return { count, runtime: rememberingRuntime(runtime) };
}

const from = async (runtime: Runtime, scale: number): Promise<Program> => {
  const program = await runtime.load(accumulator());
  await program.writeState(new Map([['scale', Float32Array.of(scale)]]));
  return program;
};
const totalOf = async (program: Program): Promise<number> => (await program.readState(['total'])).get('total')![0];

test('who does the same from the same state gets it for what it cost the first; another state is computed', async () => {
  const { count, runtime } = await counted();
  try {
    const [first, second, other] = [await from(runtime, 10), await from(runtime, 10), await from(runtime, 3)];
    assert.equal(count.loads, 1);
    await first.run({ x });
    assert.equal(count.runs, 1);
    const before_ms = runtime.spared_ms;
    await second.run({ x });
    assert.deepEqual([count.runs, await totalOf(second)], [1, 10]);
    assert.ok(runtime.spared_ms - before_ms > 15, `${runtime.spared_ms - before_ms} ms`);
    await other.run({ x });
    assert.deepEqual([count.runs, await totalOf(other)], [2, 3]);
    await first.run({ x: { ...x, data: Float32Array.of(0, 0, 0, 0, 0, 1) } as TensorData });
    assert.equal(await totalOf(first), 10);
  } finally {
    await runtime.close();
  }
});

test('who leaves what is remembered goes on from where it is, and pays nothing for the way there', async () => {
  const { runtime } = await counted();
  try {
    const [first, second] = [await from(runtime, 10), await from(runtime, 10)];
    for (let i = 0; i < 3; i++) await first.run({ x });
    await second.run({ x });
    await second.run({ x });
    await second.writeState(new Map([['scale', Float32Array.of(1)]]));
    const before = { spared_ms: runtime.spared_ms, used: process.cpuUsage() };
    await second.run({ x });
    const { user, system } = process.cpuUsage(before.used);
    const owed_ms = (user + system) / 1000 + runtime.spared_ms - before.spared_ms;
    assert.ok(owed_ms > 15 && owed_ms < 35, `${owed_ms} ms, where a run takes 20`);
    assert.equal(await totalOf(second), 21);
    assert.equal(await totalOf(first), 30);
  } finally {
    await runtime.close();
  }
});
