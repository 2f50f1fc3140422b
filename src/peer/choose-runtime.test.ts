// What a device computes with where there is no GPU or one that hangs; test/gpu.test.ts has one that works.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { game as chain } from '../games/addition-chain.ts';
import { hasGpuProvider } from '../tensor/gpu-runtime.ts';
import { softwareGpu } from '../tensor/testing/software-gpu.ts';
import { chooseRuntime, type DeviceWish, type RuntimeSettings } from './choose-runtime.ts';

const params = chain.params.parse({ bits: 8, tries: 5 });
const fast: DeviceWish = { kind: 'gpu', adapter: 'high-performance' };
const choose = (wish: DeviceWish, environment = {}, more: Partial<RuntimeSettings> = {}, signal?: AbortSignal) =>
  chooseRuntime({ wish, threads: 1, alone: false, environment, ...more }, chain, params, signal);
const environment = hasGpuProvider() ? softwareGpu() : null;
const nowhere = { VK_ICD_FILENAMES: '/nowhere.json', VK_DRIVER_FILES: '/nowhere.json' };

test('the CPU and WASM are what they are asked for', async () => {
  for (const [kind, name] of [
    ['cpu', 'native-cpu'],
    ['wasm', 'wasm'],
  ] as const) {
    const { runtime, why } = (await choose({ kind }))!;
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
  await assert.rejects(choose(fast, environment!, { trial_ms: 1 }), /did not finish its self-test within 0 s/);
});

test('while the rules of its owner keep a GPU out the CPU computes, and says why', {
  skip: !hasGpuProvider(),
}, async () => {
  const { runtime, why } = (await choose(fast, nowhere, { gpuRests: async () => 'the GPU rests: its owner plays' }))!;
  assert.deepEqual([runtime.class, why], ['native-cpu', 'the GPU rests: its owner plays']);
  await runtime.close();
});

test('who leaves while a GPU is tried leaves at once, and its process ends', {
  skip: environment === null,
}, async () => {
  const leaving = new AbortController();
  let gpu = 0;
  const onGpuProcess = (pid: number): void => {
    gpu = pid;
    setTimeout(() => leaving.abort(), 100);
  };
  const begun_ms = performance.now();
  assert.equal(await choose(fast, environment!, { onGpuProcess }, leaving.signal), null);
  assert.ok(performance.now() - begun_ms < 5000, 'it waits for the trial');
  assert.throws(() => process.kill(gpu, 0), { code: 'ESRCH' });
});
