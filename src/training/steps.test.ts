// Tests of steps: the same model as a merge where nothing is cut off, nothing lost where something is, a size that does not grow, and bad bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ParameterSpec, Weights } from '../model/config.ts';
import { roundedWeights } from '../model/dtypes.ts';
import { seededRandom } from '../protocol/random.ts';
import { TrainingError } from './errors.ts';
import { mergeUpdates, openAggregate, type WeightedUpdate } from './outer.ts';
import { compressUpdate, maxUpdateBytes, type SparseOptions, SparseOptionsSchema } from './sparse.ts';
import { QUANTISERS } from './sparse-quantise.ts';
import { openCut, openFollow } from './steps.ts';

const specs: ParameterSpec[] = [
  { name: 'embedding', shape: [128, 64], decay: true },
  { name: 'norm', shape: [64], decay: false },
  { name: 'odd', shape: [3, 14], decay: true },
];
const optionsOf = (step: Partial<NonNullable<SparseOptions['step']>> = {}, others = {}): SparseOptions =>
  SparseOptionsSchema.parse({ step, ...others });
const options = optionsOf();

/** The most bytes that a step may have: what each weight keeps of a tile, and the largest update. */
const maxStepBytes = (of: readonly ParameterSpec[], { step }: SparseOptions): number =>
  HEADER_BYTES + maxUpdateBytes(of, step!);

/** Values of a made-up difference: a few large ones, most small. */
function valuesOf(seed: string, scale = 1): Weights {
  const random = seededRandom('steps', seed);
  const value = () => scale * (random.below(2000) / 1000 - 1) ** 5;
  return new Map(
    specs.map(({ name, shape }) => [name, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, value)]),
  );
}

const updatesOf = (seed: string, workers: number, of = options): WeightedUpdate[] =>
  Array.from({ length: workers }, (_, k) => ({
    update: compressUpdate(specs, valuesOf(`${seed} ${k}`, 0.01), new Map(), of),
    weight: 1 + k,
  }));

function cutStep(updates: readonly WeightedUpdate[], rest: Weights, run: SparseOptions, before: Weights = none) {
  const cut = openCut(specs, updates, run);
  const leave = ({ name }: ParameterSpec, at: number) => cut.tensor(specs[at], rest.get(name), before.get(name));
  const left: Weights = new Map(specs.map((spec, at) => [spec.name, leave(spec, at)]));
  return { step: cut.step(), rest: left };
}

function followStep(before: Weights, step: Uint8Array, run: SparseOptions): Map<string, Float32Array> {
  const follow = openFollow(specs, step, run);
  return new Map(specs.map((spec) => [spec.name, follow(spec, before.get(spec.name))]));
}

const none: Weights = new Map();
const weights = valuesOf('weights');
const isZero = (rest: Weights) => [...rest.values()].every((values) => values.every((value) => value === 0));

test('where everything that was sent is kept, the step gives what the merge gives, bit for bit', () => {
  for (const step of [{}, { kept_per_tile: 4096 }]) {
    const updates = updatesOf('one', 1);
    const cut = cutStep(updates, none, optionsOf(step));
    assert.deepEqual(followStep(weights, cut.step, optionsOf(step)), mergeUpdates(specs, weights, updates, options));
    assert.ok(isZero(cut.rest));
  }
  const nothing = cutStep([], none, options);
  assert.deepEqual(followStep(weights, nothing.step, options), new Map(weights));
});

test('what a step leaves out is what the updates say less what the step does; it comes in later rounds', () => {
  for (const quantiser of QUANTISERS) {
    const small = optionsOf({ kept_per_tile: 64, quantiser }, { outer_step: 1 });
    const updates = updatesOf('rest', 5);
    const aggregate = openAggregate(specs, updates, small);
    const cut = cutStep(updates, none, small);
    const zero = new Map([...weights].map(([name, { length }]) => [name, new Float32Array(length)]));
    const done = followStep(zero, cut.step, small);
    for (const spec of specs) {
      const left = aggregate(spec).map((value, i) => value + done.get(spec.name)![i]);
      assert.deepEqual(cut.rest.get(spec.name), left);
    }
    assert.ok(!isZero(cut.rest));
    // Nobody says anything more: what was left out is said until little of it is left.
    const energy = (rest: Weights) => [...rest.values()].flatMap((v) => [...v]).reduce((sum, v) => sum + v * v, 0);
    let rest: Weights = cut.rest;
    for (let round = 0; round < 40; round++) ({ rest } = cutStep([], rest, small));
    assert.ok(energy(rest) < energy(cut.rest) / 20, `${energy(rest)} of ${energy(cut.rest)}`);
  }
});

test('what was left out is forgotten by the decay, and the rest that is handed in stays as it was', () => {
  const forgetful = optionsOf({ kept_per_tile: 64, error_decay: 0 });
  const { rest } = cutStep(updatesOf('first', 5), none, forgetful);
  const before = new Map([...rest].map(([name, values]) => [name, values.slice()]));
  const next = updatesOf('second', 5);
  assert.deepEqual(cutStep(next, rest, forgetful), cutStep(next, none, forgetful));
  assert.notDeepEqual(cutStep(next, rest, options).step, cutStep(next, none, options).step);
  assert.deepEqual(rest, before);
});

test('what rounding takes from a step is left out by it, so nothing is lost on the way to narrower weights', () => {
  for (const dtype of ['bf16', 'f16'] as const) {
    const run = optionsOf({ error_decay: 1 }, { weights: dtype, outer_step: 1.5 });
    let state = roundedWeights(dtype, weights);
    let rest = none;
    const exact = new Map(Array.from(state, ([name, values]) => [name, Float64Array.from(values)]));
    for (let round = 0; round < 12; round++) {
      const updates = updatesOf(`rounding ${round}`, 3);
      const aggregate = openAggregate(specs, updates, run);
      for (const spec of specs) {
        for (const [i, value] of aggregate(spec).entries()) exact.get(spec.name)![i] -= 1.5 * value;
      }
      const cut = cutStep(updates, rest, run, state);
      state = followStep(state, cut.step, run);
      rest = cut.rest;
      assert.deepEqual(roundedWeights(dtype, state), state, 'every weight is one that the run keeps');
    }
    for (const [name, values] of state) {
      const owed = Float64Array.from(values, (value, i) => value - 1.5 * rest.get(name)![i]);
      const apart = Math.max(...owed.map((value, i) => Math.abs(value - exact.get(name)![i])));
      assert.ok(apart < 2e-6, `${dtype} ${name}: ${apart}`);
    }
  }
  assert.throws(() => optionsOf(undefined, { weights: 'bf16', step: null }), /need a step/);
  assert.throws(() => cutStep(updatesOf('one', 1), none, optionsOf({}, { weights: 'f16' })), { code: 'wrong-shape' });
});

test('a step does not grow with the workers', () => {
  const dense_bytes = 4 * specs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const sizes = [1, 4, 16, 64].map((workers) => cutStep(updatesOf('many', workers), none, options).step.length);
  assert.ok(sizes[0] < sizes[1], `${sizes}`);
  for (const size_bytes of sizes)
    assert.ok(size_bytes < dense_bytes / 50, `${size_bytes} of ${dense_bytes} dense ones`);
  assert.ok(sizes[3] <= maxStepBytes(specs, options));
});

test('whatever workers send, in whatever order of rounds, the step is one that can be followed', () => {
  const kept = fc.integer({ min: 2, max: 400 });
  const quantiser = fc.constantFrom(...QUANTISERS);
  fc.assert(
    fc.property(
      kept,
      quantiser,
      fc.integer({ min: 0, max: 6 }),
      fc.string(),
      (kept_per_tile, quantiser, workers, seed) => {
        const run = optionsOf({ kept_per_tile, quantiser });
        let rest = none;
        for (const round of ['a', 'b']) {
          const cut = cutStep(updatesOf(`${seed} ${round}`, workers), rest, run);
          assert.ok(cut.step.length <= maxStepBytes(specs, run));
          followStep(weights, cut.step, run);
          ({ rest } = cut);
        }
      },
    ),
    { numRuns: 25 },
  );
});

test('bytes that are no step of this run are refused by name', () => {
  const { step } = cutStep(updatesOf('bytes', 3), none, options);
  const refused = (bytes: Uint8Array, code: string, run = options) =>
    assert.throws(
      () => followStep(weights, bytes, run),
      (error) => error instanceof TrainingError && error.code === code,
      code,
    );
  const changed = (at: number, value: number) => step.map((byte, i) => (i === at ? value : byte));
  refused(new Uint8Array(), 'truncated');
  refused(step.subarray(0, HEADER_BYTES - 1), 'truncated');
  refused(step.subarray(0, HEADER_BYTES + 9), 'truncated');
  refused(step.subarray(0, step.length - 1), 'truncated');
  refused(Uint8Array.of(...step, 0), 'trailing-bytes');
  refused(Uint8Array.of(...step, ...new Uint8Array(maxStepBytes(specs, options))), 'too-large');
  refused(changed(0, 0xff), 'bad-option');
  refused(Uint8Array.of(0, 1, ...step.subarray(2)), 'bad-option');
  const thin = cutStep(updatesOf('bytes', 1), none, options).step;
  refused(Uint8Array.of(1, 0, ...thin.subarray(2)), 'wrong-count');
  refused(changed(HEADER_BYTES, 0), 'bad-magic');
  refused(changed(step.length - 1, step.at(-1)! ^ 1), 'not-canonical');
  refused(step, 'bad-option', optionsOf({ kept_per_tile: 8 }));
  refused(step, 'bad-option', SparseOptionsSchema.parse({ step: null }));
  const huge = new Map([...weights].map(([name, values]) => [name, values.map(() => 3e38)]));
  const loud = cutStep(
    [{ weight: 1, update: compressUpdate(specs, scaled(-3e38), new Map(), options) }],
    none,
    options,
  );
  assert.throws(() => followStep(huge, loud.step, options), { code: 'not-finite' });
  assert.throws(() => followStep(none, step, options), { code: 'wrong-shape' });
  assert.throws(() => cutStep(updatesOf('bytes', 3), new Map([['norm', new Float32Array(3)]]), options), {
    code: 'wrong-shape',
  });
});

/** The density of each weight. */
const HEADER_BYTES = 2 * specs.length;

const scaled = (value: number): Weights =>
  new Map([...weights].map(([name, values]) => [name, values.map(() => value)]));
