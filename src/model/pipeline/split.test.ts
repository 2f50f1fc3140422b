// Tests of splitting: the least maximum under the limit against all splits there are, whole coverage, and what cannot be split.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sizeOf } from '../../tensor/shape.ts';
import { LlamaConfigSchema, parameterSpecs } from '../config.ts';
import { ModelError } from '../errors.ts';
import {
  estimatedLoads,
  type Load,
  type ModelLoads,
  type StageRange,
  splitModel,
  stageClip,
  stageSpecs,
} from './split.ts';

const load = fc.record({ cost: fc.nat(20), bytes: fc.integer({ min: 1, max: 20 }) });
const loads = fc.record({ embedding: load, layers: fc.array(load, { minLength: 1, maxLength: 6 }), head: load });

const partsOf = ({ embedding, layers, head }: ModelLoads): Load[] => [embedding, ...layers, head];

/** Every way to cut so many values into so many groups that are not empty, as the ends of the groups. */
function* cuts(length: number, groups: number): Generator<number[]> {
  if (groups === 1) yield [length];
  else
    for (let end = 1; end <= length - groups + 1; end++)
      for (const rest of cuts(length - end, groups - 1)) yield [end, ...rest.map((more) => more + end)];
}

const most = (parts: readonly Load[], ends: readonly number[], key: keyof Load): number =>
  Math.max(...ends.map((end, i) => parts.slice(ends[i - 1] ?? 0, end).reduce((sum, part) => sum + part[key], 0)));

const loadOf = (all: ModelLoads, { embedding, first, end, head }: StageRange, key: keyof Load): number =>
  all.layers.slice(first, end).reduce((sum, layer) => sum + layer[key], 0) +
  (embedding ? all.embedding[key] : 0) +
  (head ? all.head[key] : 0);

test('a split has every part once, keeps to the limit, and no other split has a cheaper costliest stage', () => {
  const cases = fc.record({
    all: loads,
    stages: fc.integer({ min: 1, max: 8 }),
    limit: fc.integer({ min: 1, max: 60 }),
  });
  fc.assert(
    fc.property(cases, ({ all, stages, limit }) => {
      const parts = partsOf(all);
      fc.pre(stages <= parts.length);
      const fitting = [...cuts(parts.length, stages)].filter((ends) => most(parts, ends, 'bytes') <= limit);
      if (fitting.length === 0) {
        const least_bytes = Math.min(...[...cuts(parts.length, stages)].map((ends) => most(parts, ends, 'bytes')));
        const expected = { code: 'too-large', details: { stages, limit_bytes: limit, least_bytes } };
        assert.throws(() => splitModel(all, stages, limit), expected);
        return;
      }
      const ranges = splitModel(all, stages, limit);
      assert.equal(ranges.length, stages);
      assert.deepEqual(
        ranges.map(({ embedding }) => embedding),
        ranges.map((_, i) => i === 0),
      );
      assert.deepEqual(
        ranges.map(({ head }) => head),
        ranges.map((_, i) => i === stages - 1),
      );
      assert.deepEqual([ranges[0].first, ranges.at(-1)!.end], [0, all.layers.length]);
      for (const [i, { first }] of ranges.entries()) if (i > 0) assert.equal(first, ranges[i - 1].end);
      assert.ok(ranges.every((range) => loadOf(all, range, 'bytes') <= limit));
      const cost = Math.max(...ranges.map((range) => loadOf(all, range, 'cost')));
      assert.equal(cost, Math.min(...fitting.map((ends) => most(parts, ends, 'cost'))));
    }),
    { numRuns: 300 },
  );
});

test('a number of stages that cannot be is refused', () => {
  const one = { cost: 1, bytes: 1 };
  const all = { embedding: one, layers: [one, one], head: one };
  assert.equal(splitModel(all, 4).length, 4);
  for (const stages of [0, 5, 1.5, Number.NaN]) assert.throws(() => splitModel(all, stages), { code: 'bad-input' });
});

const config = LlamaConfigSchema.parse({
  ...{ vocab_size: 1000, hidden_size: 64, intermediate_size: 96, num_hidden_layers: 6, num_attention_heads: 4 },
});

test('the stages of a split have the parameters of the model, each once and in its order', () => {
  for (let stages = 1; stages <= 8; stages++) {
    const ranges = splitModel(estimatedLoads(config, { batch: 2, context: 16 }), stages);
    assert.deepEqual(
      ranges.flatMap((range) => stageSpecs(config, range)),
      parameterSpecs(config),
    );
  }
});

test('estimates count every parameter with its moments and gradient, and a large head as the several layers that it is', () => {
  const shape = { batch: 1, context: 8 };
  const all = estimatedLoads(config, shape);
  const bytes = partsOf(all).reduce((sum, part) => sum + part.bytes, 0);
  const states = 16 * parameterSpecs(config).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  assert.ok(bytes > states);
  assert.ok(bytes < 2 * states);
  const wide = estimatedLoads({ ...config, vocab_size: 30_000 }, shape);
  const { first, end } = splitModel(wide, 2)[1];
  assert.equal(end - first, 0, 'the head alone costs more than all layers');
});

test('stages that clip to their part stay below the limit of the whole together', () => {
  for (const stages of [1, 2, 7]) {
    const norms = new Array(stages).fill(stageClip(0.8, stages));
    assert.ok(Math.abs(Math.hypot(...norms) - 0.8) < 1e-12);
  }
});

test('layers that are not there, empty stages, and a tied table in two stages are refused', () => {
  const range = { embedding: false, first: 1, end: 2, head: false };
  const wrong = [
    { ...range, first: 2 },
    { ...range, end: 7 },
    { ...range, first: -1 },
    { ...range, first: 0.5 },
    { ...range, embedding: true },
    { ...range, head: true },
  ];
  for (const bad of wrong) assert.throws(() => stageSpecs(config, bad), { code: 'bad-input' });
  const tied = { ...config, tie_word_embeddings: true };
  const refused = (error: unknown) =>
    error instanceof ModelError && error.code === 'unsupported' && !error.message.includes('\n');
  assert.throws(() => stageSpecs(tied, { ...range, embedding: true, first: 0 }), refused);
  assert.throws(() => stageSpecs(tied, { ...range, end: 6, head: true }), refused);
  assert.equal(stageSpecs(tied, range).length, 9);
  assert.deepEqual(stageSpecs(tied, { embedding: true, first: 0, end: 6, head: true }), parameterSpecs(tied));
});
