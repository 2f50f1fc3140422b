// The GPU runtime in Node, on Chromium's software adapter where it is installed: the common suite, and what a missing adapter says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TensorError } from './errors.ts';
import { createGpuRuntime, hasGpuProvider } from './gpu-runtime.ts';
import { accumulator, runtimeSuite } from './testing/runtime-compliance.ts';
import { softwareGpu } from './testing/software-gpu.ts';

const environment = hasGpuProvider() ? softwareGpu() : null;

if (environment) runtimeSuite('webgpu in Node', async () => createGpuRuntime({ environment }), 'gpu');

test('without an adapter a call is rejected, and this process goes on', { skip: !hasGpuProvider() }, async () => {
  const nowhere = { VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' };
  const runtime = createGpuRuntime({ environment: nowhere });
  await assert.rejects(
    runtime.load(accumulator()),
    (error) => error instanceof TensorError && ['runtime-died', 'bad-model'].includes(error.code),
  );
  await runtime.close();
});
