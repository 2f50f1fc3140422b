// The first model of a run in stages: without tables and bottlenecks it is the whole model's, to the bit and in name.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inState, type PipelineParams, PipelineParamsSchema, stagePlans } from '../games/pipeline/params.ts';
import { game as pipeline } from '../games/pipeline.ts';
import { PretrainParamsSchema } from '../games/pretrain/params.ts';
import { game as pretrain } from '../games/pretrain.ts';
import { hashOfState, openSource } from '../games/state.ts';
import { createMemoryBlobStore } from '../ledger/blob-store.ts';
import { roundedWeights } from '../model/dtypes.ts';
import { initialWeights } from '../model/init.ts';
import { initialStageWeights } from '../model/pipeline/initial.ts';
import { keepFirstStages } from './staged-start.ts';

const SETTINGS = {
  model: {
    ...{ vocab_size: 40, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 3, num_attention_heads: 2 },
  },
  ...{ dataset: '0'.repeat(64), batch: 2, context: 8, inner_steps: 4, warmup_steps: 0 },
  ...{ learning_rate: 0.01, min_learning_rate: 0.01 },
};
const staged = (more: object = {}): PipelineParams => PipelineParamsSchema.parse({ ...SETTINGS, stages: 3, ...more });

for (const weights of ['f32', 'bf16'] as const) {
  test(`in ${weights}, made of a seed or of a model that is there, it has the name of the whole model`, async () => {
    const params = staged({ sparse: { weights } });
    const whole = initialWeights(params.model, 'seed');
    const name = await hashOfState(
      pretrain,
      PretrainParamsSchema.parse({ ...SETTINGS, sparse: { weights } }),
      roundedWeights(weights, whole),
    );
    const blobs = createMemoryBlobStore();
    assert.equal(await keepFirstStages(params, 'seed', undefined, blobs.put), name);
    assert.equal(await keepFirstStages(params, 'another', whole, blobs.put), name);
    assert.notEqual(await keepFirstStages(params, 'another', undefined, blobs.put), name);
  });
}

test('what boundaries add is that of each stage; beside a model that is there, its tables begin as its embedding', async () => {
  for (const tokens of ['trained', 'frozen'] as const) {
    const params = staged({ boundary: { width: 4, tokens } });
    const blobs = createMemoryBlobStore();
    const read = async (hash: string, names: readonly string[]) =>
      openSource(pipeline, params, hash, async (blob) => (await blobs.get(blob))!).read(names);
    const hash = await keepFirstStages(params, 'seed', undefined, blobs.put);
    for (const plan of stagePlans(params)) {
      const own = initialStageWeights(params.model, plan.range, plan, 'seed');
      const found = await read(
        hash,
        [...own.keys()].map((name) => inState(plan.stage, name)),
      );
      assert.deepEqual([...found.values()], [...own.values()]);
    }
    const given = initialWeights(params.model, 'learned');
    const later = await keepFirstStages(params, 'seed', given, blobs.put);
    const table = 'stages.1.boundary.tokens.weight';
    const narrow = 'stages.1.boundary.in.weight';
    const found = await read(later, [table, narrow, 'lm_head.weight']);
    assert.deepEqual(found.get(table), given.get('model.embed_tokens.weight'));
    assert.deepEqual(found.get('lm_head.weight'), given.get('lm_head.weight'));
    assert.deepEqual(found.get(narrow), (await read(hash, [narrow])).get(narrow));
  }
});
