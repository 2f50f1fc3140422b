// A model in stages on WebGPU in Node, on Chromium's software adapter where it is installed: weights and sums stay on the GPU between its graphs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGpuRuntime, hasGpuProvider } from '../../tensor/gpu-runtime.ts';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import { softwareGpu } from '../../tensor/testing/software-gpu.ts';
import { apartInStages, configOf } from './testing/whole-and-stages.ts';

const environment = hasGpuProvider() ? softwareGpu() : null;

test('gradients and losses of two stages on a GPU are those of the whole on the CPU', {
  skip: environment === null,
}, async () => {
  const gpu = createGpuRuntime({ environment: environment! });
  const cpu = await createNativeRuntime({ threads: 1 }); // where the whole takes no software GPU's time
  const { off, where } = await apartInStages(gpu, configOf({ num_hidden_layers: 2 }), [2], cpu);
  assert.ok(off < 1e-5, `${where}: off by ${off}`);
  await Promise.all([gpu.close(), cpu.close()]);
});
