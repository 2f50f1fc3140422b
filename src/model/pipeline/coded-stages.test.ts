// Tests of stages with coded boundaries: what the token says and the bottleneck change nothing where they may leave nothing out, and codes follow from names.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createNativeRuntime } from '../../tensor/native-runtime.ts';
import { initialWeights } from '../init.ts';
import { type BoundaryInput, BoundarySchema } from './boundary.ts';
import { stageGraphs } from './graphs.ts';
import { initialStageWeights } from './initial.ts';
import { openStage, type Stage } from './stage.ts';
import { equalStages, forwardThrough } from './testing/in-turn.ts';
import {
  adamw,
  configOf,
  gradientsOfWhole,
  learn,
  MICRO_BATCHES,
  parts,
  shape,
  targets,
  tokens,
  worst,
} from './testing/whole-and-stages.ts';

const opened = createNativeRuntime({ threads: 1 });
after(async () => (await opened).close());
const config = configOf({ num_hidden_layers: 3 });
const SEED = 'seed';

/** Stages with the same boundary between all of them, and their initial weights. */
async function codedStages(given: BoundaryInput): Promise<Stage[]> {
  const boundary = BoundarySchema.parse(given);
  const runtime = await opened;
  const stages: Stage[] = [];
  for (const range of equalStages(3, 3)) {
    const sides = { incoming: range.embedding ? undefined : boundary, outgoing: range.head ? undefined : boundary };
    const stage = await openStage(runtime, config, { ...shape, adamw, range, ...sides });
    await stage.setWeights(initialStageWeights(config, range, sides, SEED));
    stages.push(stage);
  }
  return stages;
}

const closeAll = (stages: readonly Stage[]) => Promise.all(stages.map((stage) => stage.close()));
const mean = (sum: Float32Array) => sum.map((value) => value / MICRO_BATCHES);

for (const kind of ['trained', 'frozen'] as const) {
  test(`${kind} tokens and a bottleneck as wide as the model: the gradients of the whole`, async () => {
    const expected = await gradientsOfWhole(await opened, config, initialWeights(config, SEED));
    const stages = await codedStages({ tokens: kind, width: config.hidden_size });
    const loss = await learn(stages);
    assert.ok(Math.abs(loss / expected.loss.data[0] - 1) < 1e-5);
    const tables: Float32Array[] = [];
    for (const stage of stages) {
      for (const [name, sum] of await stage.gradients()) {
        if (name === 'boundary.tokens.weight' || name === 'model.embed_tokens.weight') tables.push(mean(sum));
        else if (!name.startsWith('boundary.')) {
          const off = worst(mean(sum), expected[`gradient/${name}`].data);
          assert.ok(off < 2e-5, `${name}: ${off}`);
        } else
          assert.ok(
            sum.some((value) => value !== 0),
            name,
          );
      }
    }
    // What a stage subtracts before it sends, the next one adds: together the tables have the gradient of the embedding.
    assert.equal(tables.length, kind === 'trained' ? 3 : 1);
    const together = tables[0].map((_, i) => tables.reduce((sum, table) => sum + table[i], 0));
    const off = worst(together, expected['gradient/model.embed_tokens.weight'].data);
    assert.ok(off < 2e-5, `embedding: ${off}`);
    await closeAll(stages);
  });
}

test('both halves of a boundary begin equal and orthonormal, and another boundary is another one', async () => {
  const stages = await codedStages({ tokens: 'frozen', width: 5 });
  const [first, second, third] = await Promise.all(stages.map((stage) => stage.weights()));
  const out = first.get('boundary.out.weight')!;
  assert.deepEqual(second.get('boundary.in.weight'), out);
  assert.deepEqual(third.get('boundary.in.weight'), second.get('boundary.out.weight'));
  assert.notDeepEqual(second.get('boundary.out.weight'), out);
  for (let a = 0; a < 5; a++) {
    for (let b = 0; b < 5; b++) {
      let sum = 0;
      for (let i = 0; i < 16; i++) sum += out[a * 16 + i] * out[b * 16 + i];
      assert.ok(Math.abs(sum - (a === b ? 1 : 0)) < 1e-6);
    }
  }
  // Decay would take them away from orthonormal.
  for (const { name, decay } of stages.flatMap(({ specs }) => specs)) {
    if (/^boundary\.(in|out)\./.test(name)) assert.equal(decay, false, name);
  }
  assert.deepEqual(
    stages.map(({ frozen }) => frozen.length),
    [1, 1, 1],
  );
  assert.deepEqual(third.get('boundary.tokens.weight'), first.get('model.embed_tokens.weight'));
  await closeAll(stages);
});

test('coded bytes have their length, follow from the name of the micro-batch, and train near the whole', async () => {
  const stages = await codedStages({ tokens: 'trained', width: 16, bits: 8, gradient_bits: 6, scale_rows: 3 });
  const rows = shape.batch * shape.context;
  const inputs = await forwardThrough(stages, parts(tokens)[0], 'one');
  assert.equal(inputs[1].activations!.length, rows * 16 + rows / 3);
  const back = async (name: string) => (await stages[2].backward({ ...inputs[2], name }, parts(targets)[0])).gradient!;
  const gradient = await back('one');
  assert.equal(gradient.length, (rows * 16 * 6) / 8 + rows / 3);
  assert.deepEqual(await back('one'), gradient);
  assert.notDeepEqual(await back('two'), gradient);
  const bad = { code: 'bad-activations' };
  await assert.rejects(stages[1].backward(inputs[1], gradient.subarray(1)), bad);
  await assert.rejects(stages[1].forward({ ...inputs[1], activations: new Uint8Array(7) }), bad);

  const weights = await stages[0].weights();
  const norm = 'model.layers.0.input_layernorm.weight';
  await stages[0].setWeights(new Map([...weights, [norm, new Float32Array(16).fill(Number.NaN)]]));
  await assert.rejects(stages[0].forward(inputs[0]), bad, 'codes of what is not finite');
  await stages[0].setWeights(weights);

  for (const stage of stages) await stage.forget();
  const expected = await gradientsOfWhole(await opened, config, initialWeights(config, SEED));
  await learn(stages);
  const found = (await stages[1].gradients()).get('model.layers.1.mlp.up_proj.weight')!;
  const off = worst(mean(found), expected['gradient/model.layers.1.mlp.up_proj.weight'].data);
  assert.ok(off > 1e-4 && off < 0.2, `${off}`);
  await closeAll(stages);
});

test('boundaries at odds, or where there is no neighbour, are refused', () => {
  const [first, middle, last] = equalStages(3, 3);
  const [plain, tokens] = [BoundarySchema.parse({}), BoundarySchema.parse({ tokens: 'trained' })];
  const refused = { code: 'bad-config' };
  assert.throws(
    () => stageGraphs(config, { ...shape, adamw, range: middle, incoming: plain, outgoing: tokens }),
    refused,
  );
  assert.throws(() => stageGraphs(config, { ...shape, adamw, range: first, incoming: plain }), refused);
  assert.throws(() => stageGraphs(config, { ...shape, adamw, range: last, outgoing: plain }), refused);
});
