// Embeddings through a pool: the vectors are those of `potluck serve` on one machine, whichever device makes them and however many die meanwhile.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANY_DEVICE } from '../src/hub/serving/caller.ts';
import { serveEngine } from '../src/peer/served-model.ts';
import type { ServedModel } from '../src/peer/serving.ts';
import { openAnswerServer } from '../src/serving/answer-server.ts';
import { openTinyEngine, TINY_CONTEXT, TINY_HASH, tinyWeights } from '../src/serving/testing/tiny-model.ts';
import { poolDevice, poolFor } from './pool-device.ts';

const never = new AbortController().signal;
const openTiny = () => openTinyEngine(tinyWeights('a'), { cache_tokens: 2 * TINY_CONTEXT });
const alone = openAnswerServer([{ engine: await openTiny(), name: 'tiny', licence: null, created_ms: 0 }]);
const { served } = serveEngine(await openTiny(), 2);

function world() {
  const pool = poolFor([TINY_HASH, 'tiny']);
  let number = 0;
  const device = (model: ServedModel) => {
    const one = poolDevice(pool, String(number++), model, { onProblem() {} });
    one.come();
    return one;
  };
  const { models, embed } = pool.serverFor(ANY_DEVICE);
  return {
    pool,
    device,
    models,
    embed: (inputs: (string | number[])[], signal = never) => embed({ model: 'tiny', inputs }, signal),
  };
}

const INPUTS = ['the hub', 'a river of lamps', [1, 2, 3], 'x'.repeat(TINY_CONTEXT)];

test('are what one machine makes, also where a device dies in the middle', async () => {
  const { device, models, embed, pool } = world();
  const expected = await alone.embed({ model: 'tiny', inputs: INPUTS }, never);
  device(served);
  assert.equal(models()[0].embeddings, true);
  assert.deepEqual(await embed(INPUTS), expected);
  // Of two, one is killed in the middle: the other begins anew.
  const dying: ServedModel = {
    ...served,
    async embed(input, signal) {
      if (input === INPUTS[1]) killed.die();
      return served.embed!(input, signal);
    },
  };
  const other = world();
  const killed = other.device(dying);
  const embedding = other.embed(INPUTS);
  other.device(served);
  assert.deepEqual(await embedding, expected);
  pool.close();
  other.pool.close();
});

test('what is wrong with a text is said as by one machine, and devices that cannot make vectors are not asked', async () => {
  const { device, embed, models, pool } = world();
  const { embed: _, ...without } = served;
  device(without);
  assert.equal(models()[0].embeddings, false);
  await assert.rejects(embed(['a']), { code: 'no-room' });
  device(served);
  await assert.rejects(embed(['x'.repeat(TINY_CONTEXT + 1)]), {
    code: 'too-large',
    message: `embedding: an input of ${TINY_CONTEXT + 1} tokens, expected 1 to ${TINY_CONTEXT}`,
  });
  await assert.rejects(embed(['a'], AbortSignal.abort(new Error('enough'))), { message: 'enough' });
  pool.close();
});

test('a device that sends what is no vector is told so, and another one is asked', async () => {
  const expected = await alone.embed({ model: 'tiny', inputs: INPUTS }, never);
  const lies: ((vector: Float32Array) => Float32Array)[] = [
    (vector) => vector.map((one) => 2 * one),
    (vector) => vector.map(() => Number.NaN),
    (vector) => vector.slice(1),
  ];
  for (const lie of lies) {
    const { device, embed, pool } = world();
    const liar: ServedModel = {
      ...served,
      async embed(input, signal) {
        const { vector, tokens } = await served.embed!(input, signal);
        return { vector: lie(vector), tokens };
      },
    };
    device(liar);
    const making = embed(INPUTS);
    device(served);
    assert.deepEqual(await making, expected);
    assert.ok(pool.fleet().rows.some(({ doubted }) => doubted));
    pool.close();
  }
});
