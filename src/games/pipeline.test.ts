// Training in stages between devices in memory: it learns, each device reads its stage alone, and no device that leaves or lies holds the others up.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Weights } from '../model/config.ts';
import type { Claim } from './game.ts';
import { stagePlans } from './pipeline/params.ts';
import { decodeStageWork } from './pipeline/work.ts';
import { game } from './pipeline.ts';
import { merged, type PipelineExample, pipelineExample, sourceOf, type Worker } from './testing/example-pipeline.ts';

describe('a run in stages', () => {
  let example: PipelineExample;
  before(async () => {
    example = await pipelineExample();
  });
  after(() => example.runtime.close());

  const work = (
    worker: Worker,
    number: number,
    weights: Weights,
    signal = new AbortController().signal,
    read = new Set<string>(),
  ) =>
    game.perform(
      game.task(example.params, example.round(number, worker.stage), worker.id, sourceOf(weights, read)),
      worker.device,
      signal,
    );
  const loss = async (weights: Weights): Promise<number> =>
    (await game.evaluate(example.params, sourceOf(weights), example.worker(null).device)).loss_micro / 1e6;

  test('learns: a device a stage, each of which reads its own tensors alone', async () => {
    const { params, first } = example;
    example.air.stages.clear();
    const workers = [0, 1, 2].map((stage) => example.worker(stage));
    const read = workers.map(() => new Set<string>());
    let weights = first;
    const losses = [await loss(weights)];
    for (let number = 0; number < 3; number++) {
      const claims = await Promise.all(workers.map((worker, i) => work(worker, number, weights, undefined, read[i])));
      for (const [i, claim] of claims.entries()) {
        assert.equal(claim?.numbers.micro_batches, 10, `stage ${i}`);
        assert.equal(claim.numbers.steps, 5);
        game.checkForm(params, claim.work);
      }
      weights = merged(params, weights, claims as Claim[]);
      losses.push(await loss(weights));
    }
    assert.ok(losses[3] < losses[0] - 0.3, `losses ${losses.join(', ')}`);
    for (const { stage, specs } of stagePlans(params)) {
      assert.deepEqual(read[stage], new Set(specs.map(({ name }) => name)));
    }
  });

  test('with two devices a stage all of them work', async () => {
    example.air.stages.clear();
    const workers = [0, 0, 1, 1, 2, 2].map((stage) => example.worker(stage));
    const claims = await Promise.all(workers.map((worker) => work(worker, 7, example.first)));
    const counts = claims.map((claim) => claim?.numbers.micro_batches ?? 0);
    for (const stage of [0, 1, 2]) assert.equal(counts[2 * stage] + counts[2 * stage + 1], 20, counts.join());
    assert.ok(
      counts.every((count) => count > 0),
      counts.join(),
    );
    for (const claim of claims) assert.equal(decodeStageWork(claim!.work).transcript.length > 0, true);
  });
});
