// A device with too little memory for a run is told so before it works, with both figures.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { game as addition } from '../games/addition-chain.ts';
import { type PretrainParams, PretrainParamsSchema } from '../games/pretrain/params.ts';
import { game } from '../games/pretrain.ts';
import { checkMemory } from './memory.ts';

const params = (batch: number): PretrainParams =>
  PretrainParamsSchema.parse({
    model: {
      ...{ vocab_size: 256, hidden_size: 256, intermediate_size: 704, num_hidden_layers: 4, num_attention_heads: 4 },
    },
    ...{ dataset: 'a'.repeat(64), batch, context: 256, inner_steps: 5 },
    ...{ learning_rate: 0.001, min_learning_rate: 0.001, warmup_steps: 0 },
  });

test('what training takes grows with the weights and with the batch, and is compared with what is free', async () => {
  const { dense_bytes, memory_bytes } = game.sizes(params(16));
  const step_bytes = 4 * 16 * 256 * (4 * (4 * 256 + 2 * 704 + 4 * 256) + 256);
  assert.equal(memory_bytes, 8 * dense_bytes + step_bytes);
  await checkMemory(game, params(16), memory_bytes);
  await assert.rejects(() => checkMemory(game, params(16), 200e6), {
    code: 'too-little-memory',
    message:
      'the work of this run takes at least 0.34 GB of memory (for training: weights, gradients, moments, activations), and 0.20 GB are free on this device',
  });
  await assert.rejects(() => checkMemory(game, params(160), memory_bytes), { code: 'too-little-memory' });
});

test('a game that says nothing of memory is tried', async () => {
  await checkMemory(addition, {}, 0);
});
