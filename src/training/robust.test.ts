// Who is heard in a merge: whoever agrees with a majority by weight, in whatever order; what the rule must not do to the honest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ParameterSpec } from '../model/config.ts';
import { type Random, seededRandom } from '../protocol/random.ts';
import { TrainingError } from './errors.ts';
import { mergeUpdates, type WeightedUpdate } from './outer.ts';
import { agreeingUpdates } from './robust.ts';
import { compressUpdate, SparseOptionsSchema } from './sparse.ts';

const specs: ParameterSpec[] = [
  { name: 'a', shape: [64, 64], decay: true },
  { name: 'b', shape: [32, 64], decay: true },
];
const options = SparseOptionsSchema.parse({ merge_rule: 'agreement' });
const noise = (random: Random) => random.uint32() / 2 ** 31 - 1;

/** An update from values by position, as a worker would send them. */
function sparse(value: (name: string, i: number) => number, weight = 1): WeightedUpdate {
  const delta = new Map(
    specs.map(({ name, shape }) => [
      name,
      Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => value(name, i)),
    ]),
  );
  return { update: compressUpdate(specs, delta, new Map(), options), weight };
}

/** What there is to learn: the same in every test, larger at some positions than at others. */
const truths = new Map(
  specs.map(({ name }) => {
    const random = seededRandom('truth', name);
    return [name, Float32Array.from({ length: 4096 }, () => noise(random) ** 3)];
  }),
);
const truth = (name: string, i: number): number => truths.get(name)![i];

/** An honest worker: the truth and noise of its own. */
const honest = (id: number, weight = 1) => {
  const random = seededRandom('honest', id);
  return sparse((name, i) => truth(name, i) + 0.3 * noise(random), weight);
};
const flipped = (weight = 1) => sparse((name, i) => -truth(name, i), weight);
const noisy = (id: number, weight = 1) => {
  const random = seededRandom('noisy', id);
  return sparse(() => noise(random), weight);
};

const heard = (updates: readonly WeightedUpdate[]): number[] =>
  agreeingUpdates(specs, updates).map((update) => updates.indexOf(update));

test('the honest are all heard', () => {
  for (let count = 0; count <= 9; count++) {
    const updates = Array.from({ length: count }, (_, id) => honest(id));
    assert.equal(heard(updates).length, count);
  }
});

test('a minority is left out that sends the opposite, noise, or the same noise; also when its members agree', () => {
  const workers = [0, 1, 2, 3].map((id) => honest(id));
  for (const liar of [flipped, () => noisy(7), (k: number) => noisy(k)]) {
    const liars = [0, 1, 2].map((k) => liar(k));
    assert.deepEqual(
      heard([liars[0], workers[0], workers[1], liars[1], workers[2], workers[3], liars[2]]),
      [1, 2, 4, 5],
    );
  }
});

test('weight counts, not heads: a crowd of small ones does not outvote who did the work', () => {
  const workers = [0, 1, 2].map((id) => honest(id, 1000));
  const crowd = Array.from({ length: 20 }, () => flipped(10));
  assert.deepEqual(heard([...crowd, ...workers]), [20, 21, 22]);
});

test('where nothing is usual, or nobody can be outvoted, everybody is heard', () => {
  assert.equal(heard([honest(0), flipped()]).length, 2);
  const strangers = [0, 1, 2].map((k) => {
    const random = seededRandom('stranger', k);
    // Each at positions of its own.
    return sparse((_, i) => (i % 3 === k ? noise(random) : 0));
  });
  assert.equal(heard(strangers).length, 3);
  const zeros = [0, 1, 2].map(() => sparse(() => 0));
  assert.equal(heard(zeros).length, 3);
});

test("the merge is that of the heard alone, bit for bit, and a liar's place in the order does not matter", () => {
  const start = new Map(specs.map(({ name, shape }) => [name, new Float32Array(shape[0] * shape[1]).fill(0.1)]));
  const workers = [0, 1, 2].map((id) => honest(id, id + 1));
  const alone = mergeUpdates(specs, start, workers, { ...options, merge_rule: 'mean' });
  for (let place = 0; place <= 3; place++) {
    const crowd = workers.toSpliced(place, 0, flipped(3));
    assert.deepEqual(mergeUpdates(specs, start, crowd, options), alone);
    assert.notDeepEqual(mergeUpdates(specs, start, crowd, { ...options, merge_rule: 'mean' }), alone);
  }
});

test('the choice does not depend on the order, and is never nobody', () => {
  const makers = [honest, noisy, (_: number, weight: number) => flipped(weight)];
  const crowd = fc.array(fc.record({ kind: fc.nat(2), id: fc.nat(3), weight: fc.integer({ min: 1, max: 2 ** 40 }) }), {
    minLength: 1,
    maxLength: 7,
  });
  fc.assert(
    fc.property(crowd, (list) => {
      const updates = list.map(({ kind, id, weight }) => makers[kind](id, weight));
      const chosen = agreeingUpdates(specs, updates);
      assert.ok(chosen.length > 0);
      const backwards = agreeingUpdates(specs, updates.toReversed());
      assert.deepEqual(new Set(backwards), new Set(chosen));
    }),
    { numRuns: 40 },
  );
});

test('what cannot be merged is refused as under the other rule', () => {
  const start = new Map(specs.map(({ name, shape }) => [name, new Float32Array(shape[0] * shape[1])]));
  const code = (expected: string) => (error: unknown) => error instanceof TrainingError && error.code === expected;
  const three = [0, 1, 2].map((id) => honest(id));
  const { indices, codes, table } = three[0].update.get('a')!;
  const outside = { indices: indices.with(0, 4096), codes, table };
  const bad: WeightedUpdate = { update: new Map([...three[0].update, ['a', outside]]), weight: 1 };
  assert.throws(() => mergeUpdates(specs, start, [...three, bad], options), code('bad-index'));
  assert.throws(
    () => mergeUpdates(specs, start, [...three, { update: new Map(), weight: 1 }], options),
    code('wrong-shape'),
  );
  assert.throws(
    () => mergeUpdates(specs, start, [...three, { ...three[0], weight: 0.5 }], options),
    code('bad-weight'),
  );
});
