// Tests of a model in stages: gradients, losses and steps are those of the whole model, and what a stage refuses.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import type { Runtime, TensorData } from '../../tensor/runtime.ts';
import { createWasmRuntime } from '../../tensor/wasm-runtime.ts';
import type { LlamaConfigInput } from '../config.ts';
import { randomWeights } from '../testing/random-weights.ts';
import { lossGraph, trainGraph } from '../train-graph.ts';
import { openStage, type StageInput } from './stage.ts';
import { equalStages, forwardThrough, openStages } from './testing/in-turn.ts';
import {
  adamw,
  apartInStages,
  BATCH,
  CONTEXT,
  configOf,
  learn,
  MICRO_BATCHES,
  parts,
  shape,
  targets,
  tokens,
  whole,
  worst,
} from './testing/whole-and-stages.ts';

const RUNTIMES: Readonly<Record<string, () => Promise<Runtime>>> = {
  native: () => createNativeRuntime({ threads: 1 }),
  wasm: () => createWasmRuntime({ threads: 1 }),
};
const CASES: readonly (readonly [string, Partial<LlamaConfigInput>, readonly number[]])[] = [
  ['llama', {}, [1, 2, 3, 4]],
  ['stages without layers', { num_hidden_layers: 1 }, [3]],
  ['qwen2 with biases', { model_type: 'qwen2' }, [4]],
  ['wide enough for transposed sums', { num_hidden_layers: 2, hidden_size: 256, intermediate_size: 264 }, [2]],
  ['a tied table in one stage', { tie_word_embeddings: true }, [1]],
];

for (const [runtimeName, create] of Object.entries(RUNTIMES)) {
  describe(`a model in stages on ${runtimeName}`, () => {
    const opened = create();
    after(async () => (await opened).close());

    for (const [name, more, counts] of CASES) {
      it(`${name}: gradients and losses are those of the whole, in ${counts.join(', ')} stages`, async () => {
        const runtime = await opened;
        const config = configOf(more);
        const { off, where } = await apartInStages(runtime, config, counts);
        assert.ok(off < 1e-5, `${where}: off by ${off}`);
      });
    }
  });
}

describe('stages in training', () => {
  const opened = createNativeRuntime({ threads: 1 });
  after(async () => (await opened).close());
  const config = configOf();
  const weights = randomWeights(config);

  it('steps are those of the whole model where nothing is clipped, and empty the sums', async () => {
    const runtime = await opened;
    const stages = await openStages(runtime, config, equalStages(3), { ...shape, adamw }, weights);
    const program = await runtime.load(
      trainGraph(config, { batch: MICRO_BATCHES * BATCH, context: CONTEXT, ...adamw }),
    );
    await program.writeState(weights);
    const scalar = (value: number): TensorData => ({ dtype: 'float32', shape: [], data: Float32Array.of(value) });
    for (let step = 1; step <= 3; step++) {
      const outputs = await program.run({
        ...{ tokens: whole(tokens), targets: whole(targets), learning_rate: scalar(0.01) },
        ...{ bias_correction1: scalar(1 - 0.9 ** step), bias_correction2: scalar(1 - 0.99 ** step) },
      });
      await learn(stages);
      const norms = await Promise.all(stages.map((stage) => stage.step(0.01)));
      const norm = Math.hypot(...norms.map(({ gradient_norm }) => gradient_norm));
      assert.ok(Math.abs(norm / outputs.gradient_norm.data[0] - 1) < 1e-4, `${norm}`);
      assert.deepEqual(
        norms.map(({ micro_batches }) => micro_batches),
        [2, 2, 2],
      );
    }
    const after = await program.readState(weights.keys());
    for (const stage of stages) {
      for (const [name, values] of await stage.weights()) assert.ok(worst(values, after.get(name)!) < 1e-4, name);
      for (const sum of (await stage.gradients()).values()) assert.ok(sum.every((value) => value === 0));
      await stage.close();
    }
    await program.close();
  });

  it('evaluates through all stages as the whole does', async () => {
    const runtime = await opened;
    const stages = await openStages(runtime, config, equalStages(4), { ...shape, adamw }, weights);
    const program = await runtime.load(lossGraph(config, shape));
    await program.writeState(weights);
    const part = (data: Int32Array): TensorData => ({ dtype: 'int32', shape: [BATCH, CONTEXT], data: parts(data)[1] });
    const expected = (await program.run({ tokens: part(tokens), targets: part(targets) })).losses.data;
    const inputs = await forwardThrough(stages, parts(tokens)[1]);
    assert.ok(worst(await stages.at(-1)!.losses(inputs.at(-1)!, parts(targets)[1]), expected) < 1e-5);
    for (const stage of stages) await stage.close();
    await program.close();
  });

  it('goes on elsewhere from its weights and moments as it would have here; what is forgotten leaves nothing', async () => {
    const runtime = await opened;
    const range = equalStages(1)[0];
    const open = () => openStage(runtime, config, { ...shape, adamw, range });
    const [here, there] = [await open(), await open()];
    await here.setWeights(weights);
    await learn([here]);
    await here.step(0.01);
    await there.setWeights(await here.weights());
    await there.setOptimiserState(await here.optimiserState());
    await learn([there]);
    await there.forget();
    assert.equal(there.pending, 0);
    for (const stage of [here, there]) {
      await learn([stage]);
      await stage.step(0.01);
    }
    assert.deepEqual(await there.weights(), await here.weights());
    await here.close();
    await there.close();
  });

  it('refuses what is not its own, with an error that says what was expected', async () => {
    const runtime = await opened;
    const stages = await openStages(runtime, config, equalStages(3), { ...shape, adamw }, weights);
    const [first, middle, last] = stages;
    const inputs = await forwardThrough(stages, parts(tokens)[0]);
    const gradient = (await last.backward(inputs[2], parts(targets)[0])).gradient!;
    const spoiled = inputs[1].activations!.slice();
    new DataView(spoiled.buffer).setFloat32(8, Number.NaN, true);
    const bad = { code: 'bad-activations' };
    const given = (activations: Uint8Array | null): StageInput => ({ ...inputs[1], activations });
    await assert.rejects(middle.forward(given(spoiled)), { ...bad, details: { at: 2 } });
    await assert.rejects(middle.forward(given(spoiled.subarray(1))), bad);
    await assert.rejects(middle.forward(given(null)), { code: 'bad-input' });
    await assert.rejects(middle.backward(inputs[1], gradient.subarray(4)), bad);
    await assert.rejects(middle.backward(inputs[1], parts(targets)[0]), { code: 'bad-input' });
    await assert.rejects(last.backward(inputs[2], gradient), { code: 'bad-input' });
    await assert.rejects(last.forward(inputs[2]), { code: 'bad-input' });
    await assert.rejects(first.losses(inputs[0], parts(targets)[0]), { code: 'bad-input' });
    await assert.rejects(first.forward({ tokens: tokens.subarray(0, 5), activations: null, name: '' }), {
      code: 'bad-input',
    });
    await assert.rejects(first.forward({ tokens: parts(tokens)[0].map(() => 13), activations: null, name: '' }), {
      code: 'bad-input',
    });
    await assert.rejects(first.step(0.01), { code: 'bad-input' });
    await assert.rejects(middle.setWeights(new Map()), { code: 'wrong-weights' });
    assert.deepEqual(
      stages.map(({ pending }) => pending),
      [0, 0, 1],
    );
    const huge = inputs[1].activations!.slice();
    new DataView(huge.buffer).setFloat32(0, 3e38, true);
    await assert.rejects(middle.backward(given(huge), new Uint8Array(gradient.length).fill(0x7e)), bad);
    for (const stage of stages) await stage.close();
  });
});
