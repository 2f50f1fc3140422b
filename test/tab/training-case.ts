// A seeded piece of training as one hash, on whatever runtime: it runs in Node and in the page alike.
import { LlamaConfigSchema } from '../../src/model/config.ts';
import { initialWeights } from '../../src/model/init.ts';
import { sha256Hex } from '../../src/protocol/hash.ts';
import { seededRandom } from '../../src/protocol/random.ts';
import type { Runtime } from '../../src/tensor/runtime.ts';
import { createTrainer } from '../../src/training/trainer.ts';

const CONFIG = LlamaConfigSchema.parse({
  vocab_size: 65,
  hidden_size: 64,
  intermediate_size: 160,
  num_hidden_layers: 2,
  num_attention_heads: 4,
});
const SHAPE = { batch: 8, context: 32 };
const ADAMW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
const STEPS = 2;

/** SHA-256 of the losses, weights and moments after a few steps. Learning rates are given: `Math.cos` differs between engines. */
export async function trainingBits(runtime: Runtime): Promise<string> {
  const trainer = await createTrainer(runtime, CONFIG, { ...SHAPE, adamw: ADAMW });
  await trainer.setWeights(initialWeights(CONFIG, 'training case'));
  const losses = new Float32Array(STEPS);
  const random = seededRandom('training case');
  const draw = () => Int32Array.from({ length: SHAPE.batch * SHAPE.context }, () => random.below(CONFIG.vocab_size));
  for (let step = 0; step < STEPS; step++) {
    losses[step] = (await trainer.step({ tokens: draw(), targets: draw() }, 0.01 / (step + 1))).loss;
  }
  const { first, second } = await trainer.optimiserState();
  const arrays = [losses, ...[await trainer.weights(), first, second].flatMap((map) => [...map.values()])];
  await trainer.close();
  return sha256Hex(...arrays.map((array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength)));
}
