// That first weights are the same on every machine, have the intended spread, and do not depend on each other.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesToHex } from '@noble/hashes/utils.js';
import { sha256 } from '../protocol/hash.ts';
import { LlamaConfigSchema, parameterSpecs } from './config.ts';
import { initialWeights } from './init.ts';

const config = LlamaConfigSchema.parse({
  vocab_size: 65,
  hidden_size: 64,
  intermediate_size: 176,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 64,
});

describe('initialWeights', () => {
  const weights = initialWeights(config, 7);

  it('are bit-identical everywhere', () => {
    const bytes = [...weights.values()].map((values) => new Uint8Array(values.buffer));
    // Every supported machine is little-endian, and so is the model's file format.
    assert.equal(bytesToHex(sha256(...bytes)), 'cc688587a9f59dfea304210e44329fc18993ca40d0cdcd4efdcf7a347ec2ba39');
  });

  it('hold every parameter, with the spread that its kind has', () => {
    assert.deepEqual(
      [...weights.keys()],
      parameterSpecs(config).map(({ name }) => name),
    );
    for (const [name, values] of weights) {
      if (name.endsWith('norm.weight')) {
        assert.ok(values.every((value) => value === 1));
        continue;
      }
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
      const expected = /o_proj|down_proj/.test(name) ? 0.025 : 0.05; // 0.05 / √(2 · 2 layers)
      assert.ok(Math.abs(deviation / expected - 1) < 0.05, `${name}: deviation ${deviation}`);
      assert.ok(Math.abs(mean) < expected * 0.06, `${name}: mean ${mean}`);
    }
  });

  it('change with the seed, and not with the rest of the model', () => {
    const name = 'model.layers.0.mlp.up_proj.weight';
    assert.notDeepEqual(initialWeights(config, 8).get(name), weights.get(name));
    const deeper = initialWeights({ ...config, num_hidden_layers: 3 }, 7);
    assert.deepEqual(deeper.get(name), weights.get(name));
  });
});
