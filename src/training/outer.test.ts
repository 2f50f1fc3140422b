// Tests of the outer step and the schedule: the reference's rule by hand, what must be refused, and what must not change.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ParameterSpec } from '../model/config.ts';
import { TrainingError } from './errors.ts';
import { mergeUpdates, type WeightedUpdate } from './outer.ts';
import { learningRate } from './schedule.ts';
import { SparseOptionsSchema } from './sparse.ts';

const options = SparseOptionsSchema.parse({ outer_step: 1, absent_share: 0 });
const specs: ParameterSpec[] = [{ name: 'w', shape: [6], decay: false }];

/** An update that sends +size at some places and −size at others, in the weight "w". */
function sending(size: number, plus: number[], minus: number[] = [], weight = 1): WeightedUpdate {
  return {
    weight,
    update: new Map([
      [
        'w',
        {
          indices: Uint32Array.of(...plus, ...minus),
          codes: Uint8Array.of(...plus.map(() => 2), ...minus.map(() => 1)),
          table: Float32Array.of(0, -size, size, 0),
        },
      ],
    ]),
  };
}

const merged = (updates: readonly WeightedUpdate[], chosen = {}, start = new Float32Array(6)) => [
  ...mergeUpdates(specs, new Map([['w', start]]), updates, { ...options, ...chosen }).get('w')!,
];

test('a value is the mean over the workers that sent it, taken from the weights', () => {
  const result = merged([sending(1, [0, 1]), sending(1, [1, 2]), sending(1, [3], [1])]);
  assert.deepEqual(result, [-1, Math.fround(-1 / 3), -1, -1, 0, 0]);
});

test('absent workers count as zeros by their share', () => {
  const updates = [sending(1, [0]), sending(1, [1])];
  assert.deepEqual(merged(updates, { absent_share: 1 }), [-0.5, -0.5, 0, 0, 0, 0]);
  assert.deepEqual(merged(updates, { absent_share: 0.5 }), [Math.fround(-1 / 1.5), Math.fround(-1 / 1.5), 0, 0, 0, 0]);
});

test('weights weigh: three times the steps count three times', () => {
  assert.deepEqual(merged([sending(1, [0], [], 3), sending(1, [], [0], 1)]), [-0.5, 0, 0, 0, 0, 0]);
  // A worker alone at a place is heard in full, however few its steps were.
  assert.deepEqual(merged([sending(1, [0], [], 300), sending(1, [1], [], 1)]), [-1, -1, 0, 0, 0, 0]);
});

test('an update louder than the median is scaled down to it, a quieter one is left', () => {
  assert.deepEqual(merged([sending(1, [0]), sending(100, [1]), sending(0.5, [2])]), [-1, -1, -0.5, 0, 0, 0]);
});

test('outer_step scales the step, zero updates change nothing, no update either', () => {
  assert.deepEqual(merged([sending(1, [0])], { outer_step: 1.5 }), [-1.5, 0, 0, 0, 0, 0]);
  const start = Float32Array.of(1, 2, 3, 4, 5, -0.125);
  assert.deepEqual(merged([sending(0, [0, 1])], {}, start), [...start]);
  assert.deepEqual(merged([], {}, start), [...start]);
});

test('the inputs are not changed', () => {
  const start = Float32Array.of(1, 2, 3, 4, 5, 6);
  const update = sending(1, [0], [5]);
  const before = structuredClone(update);
  mergeUpdates(specs, new Map([['w', start]]), [update, update], options);
  assert.deepEqual([...start], [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(update, before);
});

test('what cannot be merged is refused with its code', () => {
  const code = (expected: string) => (error: unknown) => error instanceof TrainingError && error.code === expected;
  for (const weight of [0, -1, 1.5, Number.NaN, 2 ** 41]) {
    assert.throws(() => merged([sending(1, [0], [], weight)]), code('bad-weight'));
  }
  assert.throws(() => merged([sending(1, [6])]), code('bad-index'));
  assert.throws(() => merged([sending(1, [0])], {}, new Float32Array(5)), code('wrong-shape'));
  assert.throws(() => merged([{ update: new Map(), weight: 1 }]), code('wrong-shape'));
  assert.throws(() => merged([sending(3e38, [0])], { outer_step: 8 }), code('not-finite'));
});

test('equal updates merge to what each of them says', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 1000 }), (workers, weight) => {
      const updates = Array.from({ length: workers }, () => sending(0.25, [0, 2], [4], weight));
      assert.deepEqual(merged(updates), [-0.25, 0, -0.25, 0, 0.25, 0]);
    }),
  );
});

test('the learning rate climbs evenly, falls by half a cosine and stays at its floor', () => {
  const schedule = { total_steps: 2000, warmup_steps: 100, learning_rate: 1e-3, min_learning_rate: 1e-4 };
  const near = (position: number, expected: number) =>
    assert.ok(Math.abs(learningRate(position, schedule) - expected) < 1e-12, `at ${position}`);
  near(0, 1e-5);
  near(99, 1e-3);
  near(100, 1e-3);
  near(1050, 5.5e-4);
  near(2000, 1e-4);
  near(5000, 1e-4);
  fc.assert(
    fc.property(fc.double({ min: 100, max: 3000, noNaN: true }), (position) => {
      assert.ok(learningRate(position, schedule) >= learningRate(position + 1, schedule));
    }),
  );
  near(550, 1e-4 + 9e-4 * 0.5 * (1 + Math.cos((Math.PI * 450) / 1900)));
  assert.equal(learningRate(0, { ...schedule, warmup_steps: 0 }), 1e-3);
});
