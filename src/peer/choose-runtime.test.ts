// What a device computes with where there is no GPU or one that hangs; test/gpu.test.ts has one that works.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { game as chain } from '../games/addition-chain.ts';
import { hasGpuProvider } from '../tensor/gpu-runtime.ts';
import { softwareGpu } from '../tensor/testing/software-gpu.ts';
import { chooseRuntime, type DeviceWish } from './choose-runtime.ts';

const params = chain.params.parse({ bits: 8, tries: 5 });
const fast: DeviceWish = { kind: 'gpu', adapter: 'high-performance' };
const choose = (wish: DeviceWish, environment = {}, trial_ms?: number) =>
  chooseRuntime({ wish, threads: 1, alone: false, environment, trial_ms }, chain, params);
const environment = hasGpuProvider() ? softwareGpu() : null;
const nowhere = { VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' };

test('the CPU and WASM are what they are asked for', async () => {
  for (const [kind, name] of [
    ['cpu', 'native-cpu'],
    ['wasm', 'wasm'],
  ] as const) {
    const { runtime, why } = await choose({ kind });
    assert.deepEqual([runtime.class, why], [name, 'asked for']);
    await runtime.close();
  }
});

test('a GPU that is asked for and not there is an error that says so', { skip: !hasGpuProvider() }, async () => {
  await assert.rejects(choose(fast, nowhere), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'no-gpu');
    assert.match(
      error.message,
      /^expected a GPU that computes right, got: the GPU failed its self-test: .*without --device gpu the CPU computes$/,
    );
    return true;
  });
});

test('a GPU that takes too long is given up', { skip: environment === null }, async () => {
  await assert.rejects(choose(fast, environment!, 1), /did not finish its self-test within 0 s/);
});
