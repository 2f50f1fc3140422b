// The pool's judges with real engines: devices that serve other weights, another seed or half a prompt under the model's hash are found by honest
// ones of two runtimes, which accept each other.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANY_DEVICE } from '../src/hub/serving/caller.ts';
import type { Pool } from '../src/hub/serving/pool.ts';
import { NO_COUNTS } from '../src/hub/serving/pool-metrics.ts';
import { serveEngine } from '../src/peer/served-model.ts';
import type { ServedModel } from '../src/peer/serving.ts';
import type { AnswerRequest } from '../src/serving/answers.ts';
import type { Engine } from '../src/serving/engine.ts';
import {
  openTinyEngine,
  requestOf,
  TINY_CONTEXT,
  TINY_HASH,
  tinyWeights,
  wholeAnswer,
} from '../src/serving/testing/tiny-model.ts';
import { createWasmRuntime } from '../src/tensor/wasm-runtime.ts';
import { poolDevice, poolFor } from './pool-device.ts';

const PLACES = 4;
const room = { cache_tokens: PLACES * TINY_CONTEXT };
type Open = () => Promise<Engine>;
const honestly: Open = () => openTinyEngine(tinyWeights('a'), room);
const otherWeights: Open = () => openTinyEngine(tinyWeights('b'), room);
const onWasm: Open = () => openTinyEngine(tinyWeights('a'), room, createWasmRuntime);

/** What a device does with a request before it serves it. */
type Lie = (request: AnswerRequest) => AnswerRequest;

class World {
  readonly pool: Pool;
  readonly verdicts: string[] = [];
  #heard: () => void = () => {};
  #number = 0;

  constructor() {
    this.pool = poolFor([TINY_HASH, 'tiny'], {
      counts: {
        ...NO_COUNTS,
        judged: (end) => {
          this.verdicts.push(end);
          this.#heard();
        },
      },
    });
  }

  /** @returns what lets it in, and gives its key */
  async device(open: Open, lie: Lie = (request) => request): Promise<() => string> {
    const peer = String(this.#number++).padStart(64, '0');
    const { served } = serveEngine(await open(), PLACES);
    const model: ServedModel = { ...served, answer: (request, signal) => served.answer(lie(request), signal) };
    const onProblem = (code: string, message: string): void => console.log(code, message);
    const { come } = poolDevice(this.pool, peer, model, { onProblem });
    return () => {
      come();
      return peer;
    };
  }

  read(request: AnswerRequest) {
    return wholeAnswer(this.pool.serverFor(ANY_DEVICE).answer(request, new AbortController().signal));
  }

  async verdict(count: number): Promise<void> {
    while (this.verdicts.length < count) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  refused(peer: string): number {
    return this.pool.fleet().rows.find(({ device }) => device === peer)!.refused;
  }
}

const REQUEST = requestOf({ max_tokens: 40 });
const LIES: Record<string, [Open, Lie?]> = {
  'other weights': [otherWeights],
  'another seed': [
    honestly,
    (request) => ({ ...request, sampling: { ...request.sampling, seed: `${request.sampling.seed}!` } }),
  ],
  'top_p ignored': [onWasm, (request) => ({ ...request, sampling: { ...request.sampling, top_p: 1 } })],
};

describe('honest devices of two runtimes', () => {
  for (const [what, [open, lie]] of Object.entries(LIES)) {
    test(`find ${what}, and are asked from then on`, { timeout: 60_000 }, async () => {
      const world = new World();
      const liar = (await world.device(open, lie))();
      const opened = [await world.device(honestly), await world.device(onWasm)];
      const request = { ...REQUEST, sampling: { ...REQUEST.sampling, top_p: 0.5 } };
      const wrong = world.read(request);
      const honest = opened.map((join) => join());
      const { ids } = await wrong;
      await world.verdict(1);
      assert.deepEqual([world.verdicts, world.refused(liar)], [['refused'], 1]);
      const right = await world.read(request);
      assert.notDeepEqual(right.ids, ids);
      await world.verdict(2);
      assert.equal(world.verdicts[1], 'accepted');
      assert.deepEqual(
        honest.map((peer) => world.refused(peer)),
        [0, 0],
      );
      world.pool.close();
    });
  }

  test('accept each other’s answers, however they are drawn and end', { timeout: 60_000 }, async () => {
    const world = new World();
    const peers = [];
    for (const open of [honestly, onWasm, honestly]) peers.push((await world.device(open))());
    const sampling = REQUEST.sampling;
    // Five rules with two seeds are ten answers: so many of a newcomer's are judged for certain.
    const rules = [
      { sampling, written: [97, 98], max_tokens: 1000 },
      { sampling: { ...sampling, temperature: 0 }, top_logprobs: 2 },
      { sampling: { ...sampling, top_p: 0.8, temperature: 0.7, presence_penalty: 0.5 }, echo: true },
      { sampling: { ...sampling, logit_bias: [[256, 4]] as [number, number][] }, top_logprobs: 0 },
      { sampling: { ...sampling, logit_bias: [[97, 20]] as [number, number][] }, stop: ['aa'] },
    ];
    for (const [i, rule] of rules.entries()) {
      for (const seed of ['x', 'y'])
        await world.read({ ...REQUEST, ...rule, sampling: { ...sampling, ...rule.sampling, seed } });
      await world.verdict(2 * (i + 1));
    }
    assert.deepEqual([...new Set(world.verdicts)], ['accepted']);
    assert.deepEqual(
      peers.map((peer) => world.refused(peer)),
      [0, 0, 0],
    );
    world.pool.close();
  });
});
