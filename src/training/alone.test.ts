// That training alone learns from a short text, does the same again, and says when it diverges.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { LlamaConfigSchema, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { byteTokenizer } from '../model/tokenizer.ts';
import { sha256Hex } from '../protocol/hash.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import { type Text, type Training, trainAlone } from './alone.ts';
import { assignedBatches, batchFrom } from './assignment.ts';
import { buildDataset } from './dataset.ts';
import { decodeShard } from './shards.ts';
import { SparseOptionsSchema } from './sparse.ts';
import { createEvaluator, meanLoss } from './trainer.ts';

const runtime = await createNativeRuntime({ threads: 1 });
after(() => runtime.close());

const tokenizer = byteTokenizer();
const blobs = new Map<string, Uint8Array>();
const manifest = await buildDataset(
  ['the quick brown fox jumps over the lazy dog. '.repeat(200)],
  tokenizer,
  async (blob) => {
    blobs.set(sha256Hex(blob), blob);
    return sha256Hex(blob);
  },
);
const shardOf = async (hash: string) => decodeShard(blobs.get(hash)!, manifest);

const shape = { batch: 4, context: 16 };
const training: Training = {
  ...shape,
  model: LlamaConfigSchema.parse({
    vocab_size: tokenizer.vocab_size,
    hidden_size: 16,
    intermediate_size: 32,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  }),
  adamw: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 },
  workers: 2,
  rounds: [12, 12, 12, 6],
  schedule: { total_steps: 42, warmup_steps: 5, learning_rate: 0.01, min_learning_rate: 0.001 },
  sparse: SparseOptionsSchema.parse({}),
};
const text: Text = (worker, round) =>
  assignedBatches(manifest, { ...shape, seed: `round ${round}`, worker: `${worker}`, shards_per_round: 2 }, shardOf);
const first = initialWeights(training.model, 'alone');

async function models(of: Partial<Training> = {}): Promise<Weights[]> {
  const all: Weights[] = [];
  for await (const weights of trainAlone(runtime, { ...training, ...of }, text, first)) all.push(weights);
  return all;
}

test('the loss on text that nobody learned from falls from round to round, and again by the same bits', async () => {
  const evaluator = await createEvaluator(runtime, training.model, shape);
  const tokens = await shardOf(manifest.validation[0].hash);
  const windows = Array.from({ length: shape.batch }, (_, i) => ({ tokens, offset: i * shape.context }));
  const lossOf = (weights: Weights) => meanLoss(evaluator, weights, [{ batch: batchFrom(windows, shape.context) }]);
  const rounds = await models();
  const losses: number[] = [];
  for (const weights of [first, ...rounds]) losses.push(await lossOf(weights));
  for (const [i, loss] of losses.entries()) assert.ok(i === 0 || loss < losses[i - 1], `${losses}`);
  assert.ok(losses.at(-1)! < 0.75 * losses[0], `${losses}`);
  assert.deepEqual(await models(), rounds);
  await evaluator.close();
});

test('training that leaves the finite numbers ends with an error', async () => {
  const schedule = { ...training.schedule, warmup_steps: 0, learning_rate: 1e30 };
  await assert.rejects(models({ schedule }), { code: 'not-finite' });
});

test('of a batch that is filled up only the used rows are measured', async () => {
  const evaluator = {
    setWeights: async () => {},
    losses: async () => Float32Array.of(1, 2, 9),
    close: async () => {},
  };
  const batch = { tokens: new Int32Array(), targets: new Int32Array() };
  assert.equal(await meanLoss(evaluator, first, [{ batch }, { batch, used: 2 }]), 3);
});
