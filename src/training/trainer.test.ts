// That a trainer learns, that a restart from its weights and moments changes no bit, and that wrong input is refused unharmed.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { momentNames } from '../model/adamw.ts';
import { LlamaConfigSchema, parameterSpecs, type Weights } from '../model/config.ts';
import { initialWeights } from '../model/init.ts';
import { trainGraph } from '../model/train-graph.ts';
import { trainStages } from '../model/train-stages.ts';
import { TensorError, type TensorErrorCode } from '../tensor/errors.ts';
import { createNativeRuntime } from '../tensor/native-runtime.ts';
import type { TensorData } from '../tensor/runtime.ts';
import type { Batch } from './inner.ts';
import { createEvaluator, createTrainer } from './trainer.ts';

const config = LlamaConfigSchema.parse({
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 16,
  tie_word_embeddings: true,
});
const shape = { batch: 4, context: 8 };
const options = { ...shape, adamw: { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weight_decay: 0.1, clip: 1 } };

/** A language of counting: each token is followed by the next one, modulo 20. */
function countingBatch(seed: number, batch = shape.batch): Batch {
  const tokens = Int32Array.from(
    { length: batch * shape.context },
    (_, i) => (seed * 7 + Math.floor(i / 8) * 5 + i) % 20,
  );
  return { tokens, targets: tokens.map((token) => (token + 1) % 20) };
}

it('takes the micro-batches of a large batch one after another on one thread: every bit as in one graph, and not for a small one', async () => {
  const wide = LlamaConfigSchema.parse({
    ...{ vocab_size: 12, hidden_size: 512, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 4 },
    ...{ head_dim: 4, max_position_embeddings: 512 },
  });
  const large = { batch: 4, context: 512, ...options.adamw };
  assert.equal(trainStages(config, { ...shape, ...options.adamw }, 1), null);
  const runtime = await createNativeRuntime({ threads: 1 });
  const programs = [
    await runtime.load(trainGraph(wide, large)),
    await runtime.staged!.load(trainStages(wide, large, runtime.staged!.width)!),
  ];
  const weights = initialWeights(wide, 5);
  const names = parameterSpecs(wide).flatMap(({ name }) => [name, ...Object.values(momentNames(name))]);
  const number = (value: number): TensorData => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) });
  const steps = programs.map(async (program) => {
    await program.writeState(weights);
    const results: unknown[] = [];
    for (const step of [1, 2]) {
      const data = Int32Array.from({ length: 2048 }, (_, i) => (i * i + step * i) % 12);
      const tokens: TensorData = { dtype: 'int32', shape: [4, 512], data };
      const corrections = { bias_correction1: number(1 - 0.9 ** step), bias_correction2: number(1 - 0.99 ** step) };
      results.push(await program.run({ tokens, targets: tokens, learning_rate: number(1e-3), ...corrections }));
    }
    return [results, await program.readState(names)];
  });
  const [whole, staged] = await Promise.all(steps);
  assert.deepEqual(staged, whole);
  await runtime.close();
});

for (const threads of [1, 3]) {
  describe(`createTrainer on ${threads} threads`, async () => {
    const runtime = await createNativeRuntime({ threads });
    after(() => runtime.close());

    it('learns what can be learned, by its own loss and by the evaluator', async () => {
      const trainer = await createTrainer(runtime, config, options);
      await trainer.setWeights(initialWeights(config, 1));
      let result = await trainer.step(countingBatch(0), 1e-2);
      assert.ok(Math.abs(result.loss - Math.log(20)) < 0.1, `${result.loss}`);
      for (let step = 1; step < 60; step++) result = await trainer.step(countingBatch(step), 1e-2);
      assert.ok(result.loss < 0.1, `${result.loss}`);
      const evaluator = await createEvaluator(runtime, config, shape);
      await evaluator.setWeights(await trainer.weights());
      const losses = await evaluator.losses(countingBatch(60));
      const { loss } = await trainer.step(countingBatch(60), 0);
      assert.equal(losses.length, 4);
      assert.ok(Math.abs(losses.reduce((sum, value) => sum + value, 0) / 4 - loss) < 1e-5);
      await evaluator.close();
      await trainer.close();
    });

    it('goes on from saved weights and moments bit for bit', async () => {
      const train = async (restart: boolean): Promise<Weights> => {
        let trainer = await createTrainer(runtime, config, options);
        await trainer.setWeights(initialWeights(config, 2));
        for (let step = 0; step < 6; step++) {
          if (restart && step === 3) {
            const [weights, state] = [await trainer.weights(), await trainer.optimiserState()];
            assert.equal(state.steps, 3);
            await trainer.close();
            trainer = await createTrainer(runtime, config, options);
            await trainer.setWeights(weights);
            await trainer.setOptimiserState(state);
          }
          await trainer.step(countingBatch(step), 1e-3);
        }
        const weights = await trainer.weights();
        await trainer.close();
        return weights;
      };
      assert.deepEqual(await train(true), await train(false));
    });

    it('refuses wrong batches and weights, and keeps its state', async () => {
      const trainer = await createTrainer(runtime, config, options);
      const weights = initialWeights(config, 3);
      await trainer.setWeights(weights);
      const refuses = (code: TensorErrorCode, promise: Promise<unknown>): Promise<void> =>
        assert.rejects(promise, (error) => error instanceof TensorError && error.code === code);
      const good = countingBatch(0);
      await refuses('bad-length', trainer.step({ ...good, tokens: good.tokens.slice(1) }, 1e-3));
      await refuses('bad-argument', trainer.step({ ...good, tokens: good.tokens.with(5, 20) }, 1e-3));
      await refuses('bad-argument', trainer.step({ ...good, targets: good.targets.with(5, -1) }, 1e-3));
      await refuses('bad-argument', trainer.step(good, Number.NaN));
      await refuses('unknown-name', trainer.setWeights(new Map()));
      const name = 'model.norm.weight';
      await refuses('bad-length', trainer.setWeights(new Map(weights).set(name, new Float32Array(3))));
      assert.deepEqual(await trainer.weights(), weights);
      assert.equal((await trainer.optimiserState()).steps, 0);
      await trainer.close();
    });
  });
}

describe('training in stages', () => {
  /** Weights and moments after some steps, with a batch that `threads` threads share evenly or not. */
  async function trained(threads: number, batch: number, tie_word_embeddings = false): Promise<Float32Array[]> {
    const runtime = await createNativeRuntime({ threads });
    try {
      const model = { ...config, tie_word_embeddings };
      const trainer = await createTrainer(runtime, model, { ...options, batch });
      await trainer.setWeights(initialWeights(model, 4));
      const reports: number[] = [];
      for (let step = 0; step < 4; step++) {
        const { tokens, targets } = countingBatch(step, batch);
        const { loss, gradient_norm } = await trainer.step({ tokens, targets }, 1e-2);
        reports.push(loss, gradient_norm);
      }
      const { first, second } = await trainer.optimiserState();
      const weights = await trainer.weights();
      return [Float32Array.from(reports), ...weights.values(), ...first.values(), ...second.values()];
    } finally {
      await runtime.close();
    }
  }

  for (const [threads, batch, tied] of [
    [2, 4, false],
    [2, 5, true],
    [3, 4, true],
    [4, 2, false],
    [2, 1, false],
  ] as const) {
    it(`learns the same on ${threads} threads as on one, up to rounding: batch ${batch}, tied ${tied}`, async () => {
      const [one, several] = [await trained(1, batch, tied), await trained(threads, batch, tied)];
      assert.equal(several.length, one.length);
      one.forEach((values, i) => {
        const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        values.forEach((value, j) => {
          assert.ok(Math.abs(value - several[i][j]) <= 2e-4 * largest, `${i} ${j}: ${value} and ${several[i][j]}`);
        });
      });
    });
  }
});
