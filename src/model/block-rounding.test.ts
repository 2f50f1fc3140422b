// Rounding to blocks: values that ggml's reference gives, and errors no larger than half a level.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '../protocol/random.ts';
import { roundToBlocks, weightsInBlocks } from './block-rounding.ts';
import { LlamaConfigSchema, parameterSpecs } from './config.ts';
import { initialWeights } from './init.ts';

test('a block has the levels of its largest value', () => {
  const values = Float32Array.from({ length: 32 }, (_, i) => (i - 8) / 8); // −1 to 2.875
  const eights = roundToBlocks(values, 'q8_0');
  const scale = Math.f16round(Math.fround(2.875 / 127));
  assert.ok(eights.every((value, i) => Math.abs(value / scale - Math.round(values[i] / (2.875 / 127))) < 1e-3));
  const fours = roundToBlocks(values, 'q4_0');
  const step = Math.f16round(2.875 / 8); // the value of largest magnitude becomes −8 times a negative scale
  assert.equal(fours[31], 8 * step);
  assert.deepEqual(new Set(fours.map((value) => Math.abs(value / step) % 1)), new Set([0]));
  assert.deepEqual(roundToBlocks(new Float32Array(40), 'q4_0'), new Float32Array(40));
});

test('errors are at most half a level, but for the one side that four bits cut off', () => {
  const random = seededRandom('blocks');
  const values = Float32Array.from({ length: 32 * 50 }, () => random.uint32() / 2 ** 31 - 1);
  for (const [kind, levels] of [
    ['q8_0', 127],
    ['q4_0', 8],
  ] as const) {
    const rounded = roundToBlocks(values, kind);
    for (let at = 0; at < values.length; at += 32) {
      const block = values.subarray(at, at + 32);
      const level = Math.max(...block.map(Math.abs)) / levels;
      const apart = Math.max(...block.map((value, i) => Math.abs(value - rounded[at + i])));
      assert.ok(apart <= level * (kind === 'q4_0' ? 1.001 : 0.55), `${kind}: ${apart} of ${level}`);
    }
  }
});

test("a model's vectors stay as they are", () => {
  const config = LlamaConfigSchema.parse({
    ...{ vocab_size: 20, hidden_size: 32, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 },
    max_position_embeddings: 8,
  });
  const weights = initialWeights(config, 1);
  const coarse = weightsInBlocks(config, weights, 'q4_0');
  for (const { name, shape } of parameterSpecs(config)) {
    assert.equal(coarse.get(name) === weights.get(name), shape.length === 1, name);
  }
});
