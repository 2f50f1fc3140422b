// Re-execution: whoever followed a worker finds the smallest lie in its update, and honest work is the same on every kind of runtime.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { parameterSpecs, type Weights } from '../../model/config.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWasmRuntime } from '../../tensor/wasm-runtime.ts';
import { compressUpdate, decodeUpdate, encodeUpdate, type SparseTensor } from '../../training/sparse.ts';
import type { Claim, Device } from '../game.ts';
import { game } from '../pretrain.ts';
import { mergeState } from '../state.ts';
import { judging, type PretrainExample, pretrainExample, round, withUpdate } from '../testing/example-pretrain.ts';
import { loadedOf } from './device.ts';
import type { PretrainParams, PretrainTask } from './params.ts';
import { decodeWork, encodeWork } from './work.ts';

let example: PretrainExample;
let params: PretrainParams;
let weights: Weights;
let wasm: Runtime;
before(async () => {
  example = await pretrainExample();
  ({ params, weights } = example);
  wasm = await createWasmRuntime({ threads: 1 });
});
after(async () => {
  await example.runtime.close();
  await wasm.close();
});

const running = new AbortController().signal;
const workOf = async (number: number, state: Weights, last: string | null, on: Device, peer = 'ada') => {
  const task = game.task(params, round(number, { last }), peer, state);
  return { task, claim: (await game.perform(task, on, running))! };
};
/** The claim with every value of its update as `edit` wants it. */
function edited(claim: Claim, edit: (tensor: SparseTensor) => SparseTensor): Claim {
  const specs = parameterSpecs(params.model);
  const update = decodeUpdate(specs, decodeWork(claim.work).update, params.sparse);
  const lie = new Map(
    [...update].map(([name, tensor]) => {
      const { indices, codes, table } = edit(tensor);
      // An update has no table entries that no value uses.
      return [name, { indices, codes, table: table.map((value, code) => (codes.includes(code) ? value : 0)) }];
    }),
  );
  return withUpdate(claim, encodeUpdate(specs, lie, params.sparse));
}
/** The claim with losses of its second half that go up and down by so many nats. */
function halfInvented(claim: Claim, by: number): Claim {
  const honest = decodeWork(claim.work);
  const half = honest.losses.length / 2;
  const losses = [...honest.losses].map((loss, i, all) => (i < half ? loss : all[half - 1] + (i % 2 ? by : 0)));
  return withLosses(claim, losses);
}
/** The claim with these losses. */
function withLosses(claim: Claim, losses: ArrayLike<number>): Claim {
  const work = encodeWork({ ...decodeWork(claim.work), losses: Array.from(losses) });
  const traced = decodeWork(work).losses;
  const mean = traced.reduce((a, b) => a + b, 0) / traced.length;
  return { ...claim, work, numbers: { ...claim.numbers, loss_micro: Math.round(mean * 1e6) } };
}
const merge = (state: Weights, { work }: Claim) => mergeState(game, params, state, [{ work, weight: 20 }]);

describe('what a judge repeats loosely with', () => {
  test('is what its longest repetition left: a short one takes nothing from it', async () => {
    const [ada, judge] = [example.device(), example.device()];
    let state = weights;
    let last: string | null = null;
    for (const number of [0, 1]) {
      const { task, claim } = await workOf(number, state, last, ada);
      assert.equal((await game.check(task, claim, judge, judging)).code, 'ok');
      assert.equal(learntSteps(judge), 20 * (number + 1));
      state = merge(state, claim);
      last = example.bundleOf(claim);
    }
    const bob = taskOf(2, 2, last, 'bob', state);
    const short = (await game.perform(bob, example.device(), running))!;
    const { code, evidence } = await game.check(bob, short, judge, judging);
    assert.deepEqual([code, (evidence.repeated as { steps: number }).steps], ['ok', 2]);
    assert.equal(learntSteps(judge), 40);
  });

  test('is what steps before it leave where nothing has been learnt: as many as the work has, and fifteen at most', async () => {
    for (const [most_steps, before] of [
      [2, 2],
      [20, 15],
    ]) {
      const [ada, judge] = [example.device(), example.device()];
      const first = taskOf(most_steps, 0, null, 'ada', weights);
      const begun = (await game.perform(first, ada, running))!;
      const next = taskOf(most_steps, 1, example.bundleOf(begun), 'ada', merge(weights, begun));
      const claim = (await game.perform(next, ada, running))!;
      assert.equal(claim.numbers.steps, most_steps);
      assert.equal((await attemptsOf(judge, next, claim))[0], 'learnt');
      assert.equal(learntSteps(judge), before + most_steps);
    }
  });

  test('is nothing where there is no time: then nothing is said against the work', async () => {
    const ada = example.device();
    const first = await workOf(0, weights, null, ada);
    const { task, claim } = await workOf(1, merge(weights, first.claim), example.bundleOf(first.claim), ada);
    const judge = example.device();
    const { code, evidence } = await game.check(task, claim, judge, { ...judging, time_ms: 0 });
    assert.deepEqual([code, learntSteps(judge)], ['ok', undefined]);
    assert.equal((evidence.repeated as { attempts: { steps: number }[] }).attempts[0].steps, 0);
  });

  test('is zero where the work is not like that', async () => {
    const ada = example.device();
    const first = await workOf(0, weights, null, ada);
    const { task, claim } = await workOf(1, merge(weights, first.claim), example.bundleOf(first.claim), ada);
    assert.deepEqual(await attemptsOf(example.device(), task, halfInvented(claim, 0.05)), ['learnt', 'zero']);
  });
});

const learntSteps = (judge: Device): number | undefined => loadedOf(judge).moments?.steps;

/** A task of no more than so many steps. */
const taskOf = (steps: number, number: number, last: string | null, peer: string, state: Weights) =>
  game.task(params, { ...round(number, { last }), most_amount: steps * params.batch * params.context }, peer, state);

/** The moments with which a judge repeated work. */
async function attemptsOf(judge: Device, task: PretrainTask, claim: Claim): Promise<string[]> {
  const { evidence } = await game.check(task, claim, judge, judging);
  const { attempts } = z.object({ attempts: z.array(z.object({ moments: z.string() })) }).parse(evidence.repeated);
  return attempts.map(({ moments }) => moments);
}

describe('re-execution', () => {
  test('finds steps that were claimed and not done', async () => {
    const { task, claim } = await workOf(0, weights, null, example.device());
    const lie = halfInvented(claim, 0.5);
    const check = (repeat_permille: number) => game.check(task, lie, example.device(), { ...judging, repeat_permille });
    for (const permille of [700, 1000]) {
      const { accepted, fraud, code } = await check(permille);
      assert.deepEqual([accepted, fraud, code], [false, true, 'other-losses'], `${permille}`);
    }
    // What is repeated is a beginning, and that was done.
    for (const permille of [0, 1, 500]) assert.equal((await check(permille)).code, 'ok', `${permille}`);
    const lookAt = (place: number, handed_in: Claim) =>
      game.check(task, handed_in, example.device(), { ...judging, repeat_permille: 0, place });
    // A place in the second half, from which the judge repeats; one in the first half; the first step alone.
    const codes = [0.5, 0.6, 0.1, 0.9].map(async (place) => (await lookAt(place, lie)).code);
    assert.deepEqual(await Promise.all(codes), ['other-losses', 'other-losses', 'ok', 'ok']);
    const { code, evidence } = await lookAt(0.5, claim);
    assert.deepEqual([code, evidence.repeated], ['ok', undefined]);
  });

  test('ends as soon as no further step could change what is said of invented losses, and not before', async () => {
    const { task, claim } = await workOf(0, weights, null, example.device());
    const honest = decodeWork(claim.work);
    const half = honest.losses.length / 2;
    for (const [by, least, most] of [
      [0.3, half + 1, half + 2],
      // Too far away, but not so far that the steps left could not still say that it was rounding.
      [0.02, 2 * half, 2 * half],
    ]) {
      const told = withLosses(
        claim,
        honest.losses.map((loss, i) => loss + (i < half ? 0 : by)),
      );
      const { code, evidence } = await game.check(task, told, example.device(), judging);
      const { steps } = evidence.repeated as { steps: number };
      assert.equal(code, 'other-losses');
      assert.ok(steps >= least && steps <= most, `${steps} of ${2 * half} steps for losses that are ${by} away`);
    }
  });

  test('finds an update that is not what the losses came from', async () => {
    const specs = parameterSpecs(params.model);
    const { task, claim } = await workOf(0, weights, null, example.device());
    const noise = new Map(
      specs.map(({ name, shape }) => [
        name,
        new Float32Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => Math.sin(i * 12.9898) * 1e-6),
      ]),
    );
    const update = encodeUpdate(specs, compressUpdate(specs, noise, new Map(), params.sparse), params.sparse);
    const { accepted, fraud, code } = await game.check(task, withUpdate(claim, update), example.device(), judging);
    assert.deepEqual([accepted, fraud, code], [false, true, 'other-update']);
  });

  test('finds one value in twenty turned, and other magnitudes, in every round; a judge on WASM follows a native worker', async () => {
    const ada = example.device();
    const judge = { ...example.device(), runtime: wasm };
    let state = weights;
    let last: string | null = null;
    for (let number = 0; number < 3; number++) {
      const { task, claim } = await workOf(number, state, last, ada);
      const codeOf = async (lie: Claim) => (await game.check(task, lie, judge, judging)).code;
      let at = 0;
      const turned = edited(claim, (tensor) => {
        const opposite = tensor.table.map((value) =>
          tensor.table.findIndex((other) => other !== 0 && other === -value),
        );
        const turn = (code: number) => (at++ % 20 === 0 && opposite[code] >= 0 ? opposite[code] : code);
        return { ...tensor, codes: tensor.codes.map(turn) };
      });
      assert.equal(await codeOf(turned), 'other-update', `round ${number}`);
      const louder = edited(claim, (tensor) => ({ ...tensor, table: tensor.table.map((value) => value * 2) }));
      assert.equal(await codeOf(louder), 'other-update', `round ${number}`);
      const { code, evidence } = await game.check(task, claim, judge, judging);
      assert.equal(code, 'ok');
      const { repeated } = z
        .object({ repeated: z.object({ mean_loss: z.number(), update: z.number() }) })
        .parse(evidence);
      assert.ok(repeated.mean_loss < 0.001 && repeated.update < 0.01, JSON.stringify(repeated));
      state = merge(state, claim);
      last = example.bundleOf(claim);
    }
  });

  test('does not mind harm that honest steps did', async () => {
    // Steps so long that training goes the wrong way.
    const sparse = { ...params.sparse, outer_step: 16 };
    const wild = { ...params, learning_rate: 1, min_learning_rate: 1, sparse };
    const task = game.task(wild, round(0), 'ada', weights);
    const claim = (await game.perform(task, example.device(), running))!;
    const unrepeated = await game.check(task, claim, example.device(), { ...judging, repeat_permille: 0 });
    assert.equal(unrepeated.code, 'harmful');
    const repeated = await game.check(task, claim, example.device(), judging);
    assert.equal(repeated.code, 'ok');
    assert.ok(repeated.score_micro < 0);
  });
});

describe('the chain of a worker’s states', () => {
  test('goes on from merged work, and is judged by followers and latecomers alike', async () => {
    const ada = example.device();
    const first = await workOf(0, weights, null, ada);
    const next = await workOf(1, merge(weights, first.claim), example.bundleOf(first.claim), ada);
    assert.deepEqual(decodeWork(first.claim.work).start, new Uint8Array(32));
    assert.deepEqual(decodeWork(next.claim.work).start, decodeWork(first.claim.work).end);
    assert.equal((await game.check(next.task, next.claim, example.device(), judging)).code, 'ok');
    // Losses that nobody computed jump otherwise, also where moments are not known.
    const check = async (far: number) => {
      const { code, fraud } = await game.check(next.task, halfInvented(next.claim, far), example.device(), judging);
      return [code, fraud];
    };
    assert.deepEqual(await check(0.2), ['other-losses', true]);
    // Bounds were measured on a few models: whoever is a little beyond them is not accused.
    assert.deepEqual(await check(0.05), ['other-losses', false]);
  });

  test('breaks where the work was not merged: then an honest worker begins afresh, and who does not is refused', async () => {
    const ada = example.device();
    const first = await workOf(0, weights, null, ada);
    const other = await workOf(0, weights, null, example.device(), 'bob');
    const state = merge(weights, other.claim);
    const without = example.bundleOf(other.claim);
    const claimed = await workOf(1, state, example.bundleOf(first.claim), ada);
    const { task, claim } = await workOf(1, state, without, ada);
    const refused = await game.check(task, claimed.claim, example.device(), judging);
    assert.deepEqual([refused.accepted, refused.fraud, refused.code], [false, false, 'unknown-start']);
    assert.deepEqual(decodeWork(claim.work).start, new Uint8Array(32));
    assert.equal((await game.check(task, claim, example.device(), judging)).code, 'ok');
  });

  test('a round that is tried again begins where it began before', async () => {
    const ada = example.device();
    const first = await workOf(0, weights, null, ada);
    const state = merge(weights, first.claim);
    const last = example.bundleOf(first.claim);
    const once = await workOf(1, state, last, ada);
    const again = await workOf(1, state, last, ada);
    assert.deepEqual(again.claim.work, once.claim.work);
  });
});
