// Whether a GPU is taken: real training on the CPU, and runtimes over it that are wrong, slow or broken in one way.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { LlamaConfigSchema } from '../model/config.ts';
import { TensorError } from '../tensor/errors.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Program, Runtime, TensorData, TensorMap } from '../tensor/runtime.ts';
import { type GpuTrial, tryGpu } from './runtime-choice.ts';

const cpu = await createNativeRuntime({ threads: 1 });
after(() => cpu.close());

const model = LlamaConfigSchema.parse({
  ...{ vocab_size: 16, hidden_size: 8, intermediate_size: 16 },
  ...{ num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 2 },
});
const step = {
  model,
  batch: 1,
  context: 8,
  adamw: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0, clip: 1 },
};
const names = { gpu: 'the GPU', cpu: 'the CPU' };

/** The CPU, with the answers of its programs changed. */
function otherwise(change: (program: Program) => Partial<Program>): Runtime {
  return {
    class: 'webgpu',
    load: async (graph) => {
      const program = await cpu.load(graph);
      const its: Program = {
        writeState: (values) => program.writeState(values),
        readState: (wanted) => program.readState(wanted),
        run: (inputs) => program.run(inputs),
        close: () => program.close(),
      };
      return Object.assign(its, change(program));
    },
    close: async () => {},
  };
}
const scaled = (tensors: TensorMap, name: string): TensorMap => {
  const tensor = tensors[name];
  if (!tensor) return tensors;
  return { ...tensors, [name]: { ...tensor, data: tensor.data.map((value) => value * 1.01) } as TensorData };
};
const tried = (gpu: Runtime, more: Partial<GpuTrial> = {}) => tryGpu({ gpu, cpu, names, asked: false, step, ...more });

test('a GPU that computes the same is taken where it was asked for, or where nothing is trained', async () => {
  const same = otherwise(() => ({}));
  for (const more of [{ asked: true }, { step: null }]) {
    const { taken, why, measured } = await tried(same, more);
    assert.deepEqual([taken, measured], [true, []]);
    assert.match(why, /^the GPU passed its self-test \(largest difference 0\.0e\+0\)$/);
  }
});

test('of two that compute the same the faster is taken, and both speeds are told', async () => {
  const slow = otherwise((program) => ({
    run: async (inputs) => {
      const until = performance.now() + 60;
      while (performance.now() < until);
      return program.run(inputs);
    },
  }));
  const { taken, why, measured } = await tried(slow);
  assert.equal(taken, false);
  assert.match(why, /but the CPU is faster here$/);
  assert.deepEqual(
    measured.map((one) => one.class),
    ['webgpu', 'native-cpu'],
  );
  assert.ok(measured[0].tokens_per_second < measured[1].tokens_per_second);
  assert.equal((await tryGpu({ gpu: otherwise(() => ({})), cpu: slow, names, asked: false, step })).taken, true);
});

for (const [what, gpu, where] of [
  [
    'one operator wrong by a hundredth',
    otherwise((program) => ({ run: async (inputs) => scaled(await program.run(inputs), 'softmax 1 d0') })),
    /softmax 1 d0 is off by/,
  ],
  [
    'a wrong loss',
    otherwise((program) => ({ run: async (inputs) => scaled(await program.run(inputs), 'loss') })),
    /loss is off by/,
  ],
  [
    'the right loss and wrong gradients',
    otherwise((program) => ({
      readState: async (wanted) =>
        new Map(
          [...(await program.readState(wanted))].map(([name, data]) => [name, data.map((value) => value * 1.01)]),
        ),
    })),
    /is off by 1\.0e-2/,
  ],
  [
    'a result that is no number',
    otherwise((program) => ({
      run: async (inputs) => {
        const outputs = await program.run(inputs);
        const y = outputs['add 0 y'];
        return y ? { ...outputs, 'add 0 y': { ...y, data: y.data.map(() => Number.NaN) } as TensorData } : outputs;
      },
    })),
    /add 0 y is off by Infinity/,
  ],
] as const) {
  test(`a GPU with ${what} is not taken`, async () => {
    const { taken, why } = await tried(gpu);
    assert.equal(taken, false);
    assert.match(why, where);
  });
}

test('a GPU that cannot run it is passed over, with the reason; asked for by name it is an error', async () => {
  const broken: Runtime = {
    class: 'webgpu',
    load: () => Promise.reject(new TensorError('runtime-died', 'the driver crashed')),
    close: async () => {},
  };
  assert.match((await tried(broken)).why, /^the GPU failed its self-test: the driver crashed$/);
  await assert.rejects(tried(broken, { asked: true }), { code: 'runtime-died' });
});

test('a GPU that passes and then crashes at the run’s own step is passed over as well', async () => {
  // The run's model is smaller than any of the self-test's: its states are told by their size.
  const crashing: Runtime = {
    class: 'webgpu',
    load: (graph) =>
      graph.states.some(({ shape }) => shape.join() === '16,8')
        ? Promise.reject(new TensorError('runtime-died', 'out of memory'))
        : cpu.load(graph),
    close: async () => {},
  };
  const { taken, why } = await tried(crashing);
  assert.equal(taken, false);
  assert.match(why, /^the GPU failed its self-test: out of memory$/);
});
