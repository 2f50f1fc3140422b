// A run that learns from a teacher: judges repeat it as any other, and work that was learned from the text alone is found.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { byteTokenizer } from '../../model/tokenizer.ts';
import { sha256Hex } from '../../protocol/hash.ts';
import { trainAlone } from '../../training/alone.ts';
import { assignedBatches } from '../../training/assignment.ts';
import { type DatasetManifest, decodeShard, encodeManifest } from '../../training/shards.ts';
import { decodeSoftRows, type Likely } from '../../training/soft-shards.ts';
import { buildTaughtDataset, type TaughtText } from '../../training/taught-dataset.ts';
import { game } from '../pretrain.ts';
import { mergeState } from '../state.ts';
import { judging, type PretrainExample, pretrainExample, round } from '../testing/example-pretrain.ts';
import { type PretrainParams, PretrainParamsSchema } from './params.ts';

let example: PretrainExample;
let params: PretrainParams;
let manifest: DatasetManifest;
before(async () => {
  example = await pretrainExample();
  const put = async (bytes: Uint8Array): Promise<string> => {
    example.blobs.set(sha256Hex(bytes), bytes);
    return sha256Hex(bytes);
  };
  const options = { tokenizer: byteTokenizer(), top: 4, expected_tokens: 40_000, put };
  ({ manifest } = await buildTaughtDataset(texts(), options));
  const dataset = await put(encodeManifest(manifest));
  params = PretrainParamsSchema.parse({ ...example.params, dataset, distil: { top: 4, weight: 0.9 } });
});
after(() => example.runtime.close());

/** Sentences, of whose every byte the teacher thinks that it might as well have been another. */
function* texts(): Generator<TaughtText> {
  for (let i = 0; i < 800; i++) {
    const ids = [...byteTokenizer().encode(`Sentence ${i}: the quick brown fox jumps over ${i * 7} lazy dogs.`)];
    const likely = (id: number): Likely[] => [
      [id, Math.log(0.5)],
      [(id + 1) % 256, Math.log(0.4)],
    ];
    yield { ids, rows: ids.map(likely) };
  }
}

const running = new AbortController().signal;

test('honest work is accepted by a repetition to the last bit; the same from the text alone is another update', async () => {
  const task = game.task(params, round(0), 'ada', example.weights);
  const claim = (await game.perform(task, example.device(), running))!;
  const verdict = await game.check(task, claim, example.device(), judging);
  assert.equal(verdict.code, 'ok');
  const repeated = verdict.evidence.repeated as { update: number; mean_loss: number };
  assert.ok(repeated.update < 1e-6, `${repeated.update}`);
  const alone = game.task({ ...params, distil: null }, round(0), 'ada', example.weights);
  const lie = (await game.perform(alone, example.device(), running))!;
  const { accepted, fraud, code } = await game.check(task, lie, example.device(), judging);
  assert.deepEqual([accepted, fraud], [false, true], code);
});

test('a worker of a run learns what training alone learns of the same teacher, to the last bit (bench distil measures that)', async () => {
  const { runtime, blobs, weights } = example;
  const seed = 'a'.repeat(64);
  const claim = (await game.perform(game.task(params, round(0, { seed }), 'ada', weights), example.device(), running))!;
  const merged = mergeState(game, params, weights, [{ work: claim.work, weight: claim.amount }]);
  const { inner_steps, batch, context, shards_per_round } = params;
  const schedule = { ...params, total_steps: round(0).rounds * inner_steps };
  const training = { ...params, soft_tokens: 5, workers: 1, rounds: [inner_steps], schedule };
  const shardOf = async (hash: string) => decodeShard(blobs.get(hash)!, manifest);
  const text = () =>
    assignedBatches(manifest, { batch, context, shards_per_round, seed: `worker:${seed}`, worker: 'ada' }, shardOf, {
      weight: 0.9,
      rowsOf: async ({ soft, tokens }) => decodeSoftRows(blobs.get(soft!)!, { ...manifest, top: 4, tokens }),
    });
  for await (const model of trainAlone(runtime, training, text, weights)) assert.deepEqual(model, merged);
});

test('a dataset without a teacher, and one with fewer tokens a row than the run says, give no work', async () => {
  const perform = (of: PretrainParams) =>
    game.perform(game.task(of, round(0), 'ada', example.weights), example.device(), running);
  await assert.rejects(perform({ ...params, dataset: example.params.dataset }), {
    code: 'corrupt-data',
    message: /no teacher/,
  });
  await assert.rejects(perform({ ...params, distil: { top: 5, weight: 0.9 } }), {
    code: 'corrupt-data',
    message: /rows of 5/,
  });
});

test('settings from before there were teachers mean a run without one', () => {
  const { distil, ...before } = params;
  assert.equal(PretrainParamsSchema.parse(before).distil, null);
  for (const wrong of [
    { top: 0, weight: 1 },
    { top: 21, weight: 1 },
    { top: 4, weight: 0 },
    { top: 4, weight: 1.1 },
  ]) {
    assert.equal(PretrainParamsSchema.safeParse({ ...before, distil: wrong }).success, false);
  }
  assert.equal(distil?.top, 4);
});
