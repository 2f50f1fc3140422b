// A stage is set for a round a few tensors at a time: to what its worker carried, or, where that is damaged, to nothing of it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { Weights } from '../../model/config.ts';
import { TensorError } from '../../tensor/errors.ts';
import { sizeOf } from '../../tensor/shape.ts';
import { AFRESH, type TakeCarried } from '../pretrain/carried.ts';
import { type PipelineExample, pipelineExample, sourceOf } from '../testing/example-pipeline.ts';
import { beginRound, fewAtATime, stageOn } from './device.ts';
import { stagePlans } from './params.ts';

let example: PipelineExample;
before(async () => {
  example = await pipelineExample({});
});
after(() => example.runtime.close());

const GROUPS = ['first', 'second', 'error'] as const;
const HASH = new Uint8Array(32).fill(7);

async function setStage() {
  const plan = stagePlans(example.params)[1];
  const stage = await stageOn(example.worker(1).device, example.params, plan);
  const takeAll = async (take: TakeCarried): Promise<void> => {
    for (const [i, group] of GROUPS.entries()) {
      for (const { name, shape } of plan.specs) await take(group, name, new Float32Array(sizeOf(shape)).fill(i + 1));
    }
  };
  return { plan, stage, takeAll };
}

const holds = (weights: Weights, value: number, count: number): void => {
  assert.equal(weights.size, count);
  for (const values of weights.values()) assert.ok(values.every((one) => one === value));
};

test('a stage begins with what its worker carried, and the weights of the round', async () => {
  const { plan, stage, takeAll } = await setStage();
  const error = async (): Promise<Weights> => new Map([['kept', new Float32Array(1)]]);
  const begun = await beginRound(stage, plan, sourceOf(example.first), async (take) => {
    await takeAll(take);
    return { hash: HASH, steps: 3, error };
  });
  assert.deepEqual(begun.hash, HASH);
  assert.equal(begun.error, error, 'which nobody reads before it is needed');
  const { steps, first, second } = await stage.optimiserState();
  assert.equal(steps, 3);
  for (const [i, values] of [first, second].entries()) holds(values, i + 1, plan.specs.length);
  for (const [name, values] of await stage.weights()) assert.deepEqual(values, example.first.get(name), name);
});

test('what was taken of a state before it proved damaged counts for nothing', async () => {
  const { plan, stage, takeAll } = await setStage();
  const { hash, error } = await beginRound(stage, plan, sourceOf(example.first), async (take) => {
    await takeAll(take);
    return null;
  });
  assert.deepEqual(hash, AFRESH);
  assert.equal((await error(plan.specs.map(({ name }) => name))).size, 0);
  const { steps, first, second } = await stage.optimiserState();
  assert.equal(steps, 0);
  for (const values of [first, second]) holds(values, 0, plan.specs.length);
});

test('an error of the runtime is not taken for a damaged state', async () => {
  const { plan, stage } = await setStage();
  const begun = beginRound(stage, plan, sourceOf(example.first), async (take) => {
    await take('first', plan.specs[0].name, new Float32Array(1));
    return null;
  });
  await assert.rejects(begun, (error) => error instanceof TensorError && error.code === 'bad-length');
});

test('tensors that are read together are all of them, in order, and no more than 4 MiB or one', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 << 20 }), { maxLength: 20 }), (sizes) => {
      const specs = sizes.map((size, i) => ({ name: `${i}`, shape: [size] }));
      const runs = [...fewAtATime(specs as never)];
      assert.deepEqual(runs.flat(), specs);
      const bytes = (run: (typeof runs)[number]): number => run.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
      for (const [i, run] of runs.entries()) {
        assert.ok(run.length === 1 || bytes(run) <= 4 << 20);
        if (i > 0)
          assert.ok(bytes(runs[i - 1]) + 4 * sizeOf(run[0].shape) > 4 << 20, 'the one before had no room for it');
      }
    }),
  );
});
