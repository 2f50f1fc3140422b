// Tests of jumps from batch to batch: who computed the losses is left alone, who invents them is looked at again, and is strange.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../protocol/random.ts';
import { lookAtJumps } from './jumps.ts';

const STEPS = 20;

/** What the round's model says of a worker's batches, and what the worker says after learning: `apart` nats from one batch to the next. */
function traces(seed: number, apart: number) {
  const random = seededRandom('jumps', seed);
  const some = (nats: number) => (random.below(2001) / 1000 - 1) * nats;
  const model = Array.from({ length: STEPS }, () => 3 + some(0.15));
  return {
    model,
    honest: model.map((loss, step) => loss - 0.004 * step + some(apart)),
    invented: model.map((_, step) => 3 - 0.004 * step),
  };
}

const counted = (model: readonly number[]) => {
  const asked: number[] = [];
  return {
    asked,
    lossOf: async (step: number) => {
      asked.push(step);
      return model[step];
    },
  };
};

describe('a look at jumps', () => {
  test('costs two batches where honest work is as usual, and is never strange', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { model, honest } = traces(seed, 0.002);
      const { asked, lossOf } = counted(model);
      const looked = await lookAtJumps(honest, seed % (STEPS - 1), lossOf, []);
      assert.equal(looked.strange, false);
      assert.deepEqual(asked, [seed % (STEPS - 1), (seed % (STEPS - 1)) + 1]);
    }
  });

  test('finds most invented losses, and looks at neighbours of the drawn place, each batch once', async () => {
    let strange = 0;
    for (let seed = 0; seed < 100; seed++) {
      const step = seed % (STEPS - 1);
      const { model, invented } = traces(seed, 0);
      const { asked, lossOf } = counted(model);
      const looked = await lookAtJumps(invented, step, lossOf, []);
      if (looked.strange) strange++;
      assert.equal(new Set(asked).size, asked.length);
      if (looked.jumps.length === 1) continue;
      assert.equal(looked.jumps.length, 5);
      assert.ok(looked.from <= step && step + 1 <= looked.from + 5 && looked.from + 5 < STEPS);
    }
    assert.ok(strange >= 70, `${strange} of 100`);
  });

  test('learns what is usual from the last looks: what would be strange at first is left alone among work that jumps alike', async () => {
    const seen: number[] = [];
    const strange: boolean[] = [];
    for (let seed = 0; seed < 60; seed++) {
      const { model, honest } = traces(seed, 0.1);
      strange.push((await lookAtJumps(honest, seed % (STEPS - 1), counted(model).lossOf, seen)).strange);
    }
    assert.equal(seen.length, 16);
    assert.ok(strange.slice(0, 6).some((one) => one));
    assert.ok(strange.slice(20).filter((one) => one).length <= 2);
  });

  test('far away are jumps that follow the model’s twice as far as others', async () => {
    // Expected of them is 0.0135.
    const model = Array.from({ length: STEPS }, (_, step) => 3 + 0.04 * (step % 2));
    const strangeAt = async (times: number): Promise<boolean> => {
      const told = model.map((loss, step) => 3 - 0.004 * step + times * (loss - 3));
      return (await lookAtJumps(told, 4, counted(model).lossOf, [])).strange;
    };
    for (const [times, strange] of [
      [-0.2, true],
      [0, true],
      [0.2, true],
      [0.4, false],
      [1, false],
      [2, false],
      [3, true],
    ] as const) {
      assert.equal(await strangeAt(times), strange, `${times} times`);
    }
  });

  test('honest jumps that are twice as far as usual are strange less often than one in ten', async () => {
    let strange = 0;
    for (let seed = 0; seed < 100; seed++) {
      const { model, honest } = traces(seed, 0.045);
      if ((await lookAtJumps(honest, seed % (STEPS - 1), counted(model).lossOf, [])).strange) strange++;
    }
    assert.ok(strange < 10, `${strange} of 100`);
  });

  test('a third of liars does not teach a judge that lies are usual', async () => {
    const seen: number[] = [];
    const found = { honest: 0, invented: 0 };
    for (let seed = 0; seed < 90; seed++) {
      const { model, honest, invented } = traces(seed, 0.01);
      const lies = seed % 3 === 0;
      const { strange } = await lookAtJumps(lies ? invented : honest, seed % (STEPS - 1), counted(model).lossOf, seen);
      if (strange) found[lies ? 'invented' : 'honest']++;
    }
    assert.ok(found.invented >= 18 && found.honest <= 3, JSON.stringify(found));
  });

  test('stays within traces of any length', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.double({ min: 0, max: 12, noNaN: true }), { minLength: 2, maxLength: 8 }),
        fc.nat(),
        async (told, any) => {
          const step = any % (told.length - 1);
          const { asked, lossOf } = counted(told.map(() => 3));
          const { from, jumps } = await lookAtJumps(told, step, lossOf, []);
          assert.ok(from >= 0 && from + jumps.length < told.length);
          assert.ok(asked.every((at) => at >= 0 && at < told.length));
        },
      ),
    );
  });
});
