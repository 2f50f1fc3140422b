// The decoder on WebGPU in Node, on Chromium's software adapter where it is installed: a prompt longer than 64 tokens, and two sequences at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createGpuRuntime, hasGpuProvider } from '../tensor/gpu-runtime.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { softwareGpu } from '../tensor/testing/software-gpu.ts';
import { LlamaConfigSchema } from './config.ts';
import { openDecodePool } from './decode-pool.ts';
import { initialWeights } from './init.ts';

const environment = hasGpuProvider() ? softwareGpu() : null;
const config = LlamaConfigSchema.parse({
  ...{ vocab_size: 64, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 1 },
  ...{ num_attention_heads: 4, num_key_value_heads: 2, max_position_embeddings: 128, tie_word_embeddings: true },
});
// Eight times as large as at the beginning of a training, so that attention is far from even.
const weights = new Map(
  [...initialWeights(config, 1)].map(([name, values]) => [
    name,
    name.includes('norm') ? values : values.map((v) => 8 * v),
  ]),
);

async function logitsOn(runtime: Runtime): Promise<Float32Array[]> {
  const pool = await openDecodePool(runtime, { config, weights });
  const [a, b] = [pool.open(128), pool.open(128)];
  const prompt = await a.append(
    Array.from({ length: 70 }, (_, i) => (i * 37) % 64),
    'all',
  );
  await b.append([5, 6, 7], 'last');
  const together = await Promise.all([a.append([3], 'last'), b.append([4], 'last')]);
  await pool.close();
  return [prompt, ...together];
}

test('the logits of the CPU, in three runs', { skip: environment === null }, async () => {
  const [cpu, gpu] = [await createNativeRuntime({ threads: 1 }), createGpuRuntime({ environment: environment! })];
  const [expected, actual] = [await logitsOn(cpu), await logitsOn(gpu)];
  for (const [i, logits] of actual.entries()) {
    const apart = Math.hypot(...logits.map((value, at) => value - expected[i][at])) / Math.hypot(...expected[i]);
    assert.ok(apart < 1e-4, `answer ${i}: ${apart} of the logits' length apart`);
  }
  await Promise.all([cpu.close(), gpu.close()]);
});
