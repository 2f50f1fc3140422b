// A run that diverges, by its owner's settings or the model that it started from, turns on nobody: honest work is never called made up.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Weights } from '../../model/config.ts';
import type { Runtime } from '../../tensor/runtime.ts';
import { createWasmRuntime } from '../../tensor/wasm-runtime.ts';
import { asTraced, decodeTrace, encodeTrace, LARGEST_TRACED } from '../../training/loss-trace.ts';
import type { Claim, Device } from '../game.ts';
import { game } from '../pretrain.ts';
import { mergeState } from '../state.ts';
import { judging, type PretrainExample, pretrainExample, round } from '../testing/example-pretrain.ts';
import { decodeWork, encodeWork } from './work.ts';

const running = new AbortController().signal;
let example: PretrainExample;
let wasm: Runtime;
before(async () => {
  example = await pretrainExample();
  wasm = await createWasmRuntime({ threads: 1 });
});
after(async () => {
  await example.runtime.close();
  await wasm.close();
});

/** The model with its largest scores so many times as large: sure of what is wrong. */
const scaled = (factor: number): Weights =>
  new Map(
    [...example.weights].map(([name, values]) => [
      name,
      name === 'lm_head.weight' ? values.map((v) => v * factor) : values,
    ]),
  );
const workOn = async (task: ReturnType<typeof game.task>, on: Device) => (await game.perform(task, on, running))!;
const judge = (
  task: ReturnType<typeof game.task>,
  claim: Claim,
  runtime = example.runtime,
  earlier: Uint8Array[] = [],
) => game.check(task, claim, { ...example.device(), runtime }, { ...judging, earlier: async () => earlier });

describe('a first loss beyond what a trace can tell', () => {
  const params = () => ({ ...example.params, learning_rate: 1e-4, min_learning_rate: 1e-4 });

  test('is honest work for judges of every kind, and tells the true loss', async () => {
    for (const factor of [20, 300]) {
      const task = game.task(params(), round(0), 'ada', scaled(factor));
      const claim = await workOn(task, example.device());
      for (const runtime of [example.runtime, wasm]) {
        const { accepted, fraud, code, evidence } = await judge(task, claim, runtime);
        assert.deepEqual([accepted, fraud, code], [true, false, 'ok'], `${factor} ${JSON.stringify(evidence)}`);
      }
      const { losses } = decodeWork(claim.work);
      assert.equal(losses.includes(LARGEST_TRACED), factor === 300);
      assert.equal(claim.numbers.loss_micro > 16e6, factor === 300, `${claim.numbers.loss_micro}`);
    }
  });

  test('does not hide other data, an update that no steps lead to, or a mean that no losses have', async () => {
    const task = game.task(params(), round(0), 'ada', scaled(20));
    const claim = await workOn(task, example.device());
    const work = decodeWork(claim.work);
    const first = work.losses[0];
    assert.ok(first > 8 && first < LARGEST_TRACED, `${first}`);
    const other = await judge(game.task(params(), round(0), 'bob', scaled(20)), claim);
    assert.deepEqual([other.fraud, other.code], [true, 'not-on-its-data']);
    const beyond = game.task(params(), round(0), 'ada', scaled(300));
    const theirs = await workOn(beyond, example.device());
    const stolen = { ...theirs, work: encodeWork({ ...decodeWork(theirs.work), update: work.update }) };
    assert.deepEqual([(await judge(beyond, stolen)).accepted], [false]);
    for (const loss_micro of [theirs.numbers.loss_micro + 200e6, 15e6]) {
      assert.equal(
        (await judge(beyond, { ...theirs, numbers: { ...theirs.numbers, loss_micro } })).code,
        'loss-does-not-follow',
      );
    }
  });

  test('a loss is told as a trace tells it', () => {
    const losses = [0, 1e-9, 1 / 3, 4.2, 15.99999, 16, 25.9, 85.2, 1e30, Number.POSITIVE_INFINITY, -1e-7];
    assert.deepEqual([...decodeTrace(encodeTrace(losses))], losses.map(asTraced));
    assert.ok(Number.isNaN(asTraced(Number.NaN)));
  });
});

describe('a learning rate that no run survives', () => {
  test('makes nobody a fraud, on any kind of processor, over several rounds, alone or beside others', async () => {
    const wild = { ...example.params, learning_rate: 1, min_learning_rate: 1 };
    const found: string[] = [];
    let weights = example.weights;
    let last: string | null = null;
    const devices = { ada: example.device(), bob: { ...example.device(), runtime: wasm } };
    const judges = [example.device(), { ...example.device(), runtime: wasm }];
    for (let number = 0; number < 4; number++) {
      const claims: Claim[] = [];
      for (const [peer, device] of Object.entries(devices)) {
        const task = game.task(wild, round(number, { last }), peer, weights);
        const claim = await workOn(task, device);
        const earlier = claims.map(({ work }) => work);
        for (const by of judges) {
          const { runtime } = device;
          const { fraud, code } = await game.check(task, claim, by, {
            ...judging,
            runtime: runtime.class,
            earlier: async () => earlier,
          });
          found.push(`${number} ${peer} by ${by.runtime.class}: ${fraud ? 'FRAUD ' : ''}${code}`);
        }
        claims.push(claim);
      }
      weights = mergeState(game, wild, weights, [{ work: claims[0].work, weight: 20 }]);
      last = example.bundleOf(claims[0]);
    }
    assert.ok(!found.some((line) => line.includes('FRAUD')), found.join('\n'));
  });
});
