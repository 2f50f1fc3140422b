// Prepares the game `serve` for a test: trains a small model for a second, and keeps the version before it, which a liar may serve instead.

import { type GuardLimits, guardGame } from '../games/guard.ts';
import { memoryBlobs } from '../games/memory-blobs.ts';
import { decodeParams } from '../games/params.ts';
import { loadGame } from '../games/registry.ts';
import { modelTensors } from '../model/checkpoint.ts';
import { LlamaConfigSchema, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { writeParts } from '../model/parts.ts';
import { encodeModelManifest } from '../model/tensor-manifest.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { utf8 } from '../protocol/hash.ts';
import { seededRandom } from '../protocol/random.ts';
import type { Runtime } from '../tensor/runtime.ts';
import { learn } from '../training/lessons.ts';
import { randomBatch } from '../training/windows.ts';

const MODEL = LlamaConfigSchema.parse({
  ...{ vocab_size: 257, hidden_size: 32, intermediate_size: 64, num_hidden_layers: 2, num_attention_heads: 2 },
  max_position_embeddings: 128,
});
const ADAMW = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 };
const TRAINING = { steps: 240, earlier_step: 180, learning_rate: 5e-3, batch: 8, context: 32 };

/**
 * Short answers, most of which this model ends by itself: an arena serves hundreds of them. Its devices share one runtime, so that honest margins
 * are 0; the limits are those that `bench serve-limits` gives engines that agree to the last bits.
 */
const SETTINGS = {
  ...{ answers: 4, prompt_tokens: 8, max_tokens: 40, end_bias: 7 },
  limits: { per_draw: 2e-4, allowance: 0.05, end_margin: 0.1 },
};

/** The game with its settings; `settings` replaces some of them. Throws GameError bad-params. */
export async function setUpServe(
  settings: object,
  text: AsyncIterable<string>,
  runtime: Runtime,
  limits: Partial<GuardLimits>,
) {
  const game = guardGame(await loadGame('serve'), limits);
  const { given, blobs } = await trainedToServe(settings, text, runtime);
  const params = await decodeParams(game, utf8(JSON.stringify(given)));
  return { game, params, first: await game.first!(params), blobs };
}

async function trainedToServe(settings: object, text: AsyncIterable<string>, runtime: Runtime) {
  const { last, earlier } = await train(text, runtime);
  const { blobs, put } = memoryBlobs();
  const keep = async (weights: Weights): Promise<string> => {
    const specs = modelTensors(MODEL, 'f32');
    const values = specs.map(({ name }) => weights.get(name)!);
    return put(encodeModelManifest(await writeParts(specs, values, put)));
  };
  const given = { ...SETTINGS, ...settings, model: MODEL, weights: await keep(last), earlier: [await keep(earlier)] };
  return { given, blobs };
}

async function train(texts: AsyncIterable<string>, runtime: Runtime) {
  let text = '';
  for await (const piece of texts) text += piece;
  const tokens = Int32Array.from(byteTokenizer().encode(text));
  const { batch, context, steps, earlier_step, learning_rate } = TRAINING;
  const random = seededRandom('serving setup');
  let earlier: Weights = new Map();
  const last = await learn(runtime, MODEL, {
    ...{ batch, context, adamw: ADAMW, first: initialWeights(MODEL, 'serving setup'), steps },
    batchOf: () => randomBatch(tokens, random, batch, context),
    rateOf: (step) => learning_rate * Math.min(1, (step + 1) / 20),
    async after(step, _loss, trainer) {
      if (step + 1 === earlier_step) earlier = await trainer.weights();
    },
  });
  return { last, earlier };
}
