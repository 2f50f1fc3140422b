// Assignment: the same on every machine, in range, never a validation shard, and uniform over the training split.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignment, batchFrom } from './assignment.ts';

const manifestOf = (sizes: readonly number[]) => ({
  train: sizes.map((tokens, i) => ({ hash: i.toString(16).padStart(64, '0'), tokens })),
});

test('a known assignment is pinned', () => {
  const manifest = manifestOf([1000, 2000, 3000, 4000]);
  const { shards, window } = assignment(manifest, { seed: 'round', worker: 'w', context: 64, shards_per_round: 2 });
  assert.deepEqual(shards, [2, 3]);
  assert.deepEqual(
    [0, 1, 1e9].map((i) => window(i)),
    [
      { shard: 3, offset: 851 },
      { shard: 2, offset: 1448 },
      { shard: 3, offset: 3037 },
    ],
  );
});

test('windows lie in the assigned training shards and repeat from the same options', () => {
  const sizes = fc.array(fc.integer({ min: 2, max: 5000 }), { minLength: 1, maxLength: 50 });
  const use = fc.record({
    seed: fc.oneof(fc.string(), fc.uint8Array()),
    worker: fc.string(),
    context: fc.integer({ min: 1, max: 4999 }),
    shards_per_round: fc.integer({ min: 1, max: 8 }),
  });
  fc.assert(
    fc.property(sizes, use, fc.array(fc.nat(), { maxLength: 20 }), (sizes, options, indices) => {
      fc.pre(sizes.some((tokens) => tokens > options.context));
      const first = assignment(manifestOf(sizes), options);
      const second = assignment(manifestOf(sizes), options);
      assert.deepEqual(first.shards, second.shards);
      assert.ok(first.shards.length >= 1 && first.shards.length <= options.shards_per_round);
      for (const i of indices) {
        const { shard, offset } = first.window(i);
        assert.deepEqual(second.window(i), { shard, offset });
        assert.ok(first.shards.includes(shard));
        assert.ok(offset >= 0 && offset + options.context + 1 <= sizes[shard]);
      }
    }),
  );
});

test('other seeds, workers and labels see other data', () => {
  const manifest = manifestOf(Array(64).fill(5000));
  const base = { seed: 'a', worker: 'b', context: 64, shards_per_round: 3 };
  const draw = (change: object) => {
    const { window } = assignment(manifest, { ...base, ...change });
    return JSON.stringify(Array.from({ length: 8 }, (_, i) => window(i)));
  };
  const draws = [{}, { seed: 'b' }, { worker: 'a' }, { label: 'random' }, { seed: 'ab', worker: '' }].map(draw);
  assert.equal(new Set(draws).size, draws.length);
});

test('over many rounds every window of every training shard is drawn equally often', () => {
  const sizes = [40, 200, 16, 120, 424];
  const context = 16;
  const counts = sizes.map((tokens) => new Float64Array(Math.max(0, tokens - context)));
  const rounds = 1000;
  const per_round = 24;
  for (let round = 0; round < rounds; round++) {
    const { window } = assignment(manifestOf(sizes), { seed: `${round}`, worker: 'w', context, shards_per_round: 4 });
    for (let i = 0; i < per_round; i++) {
      const { shard, offset } = window(i);
      counts[shard][offset]++;
    }
  }
  const total = sizes.reduce((sum, tokens) => sum + tokens - context, 0);
  for (const [shard, tokens] of sizes.entries()) {
    const share = counts[shard].reduce((a, b) => a + b, 0) / (rounds * per_round);
    const expected = (tokens - context) / total;
    // Four draws of a shard a round: the share's standard deviation is at most sqrt(0.25 / (4 · rounds)).
    assert.ok(
      Math.abs(share - expected) < 4 * Math.sqrt(0.25 / (4 * rounds)),
      `shard ${shard}: ${share}, not ${expected}`,
    );
    // Within a shard, both halves alike.
    const half = counts[shard].subarray(0, (tokens - context) / 2).reduce((a, b) => a + b, 0);
    if (expected > 0) assert.ok(Math.abs(half / (share * rounds * per_round) - 0.5) < 0.05, `shard ${shard}: ${half}`);
  }
  assert.equal(counts[2].length, 0);
});

test('more than 2^32 windows are drawn from evenly', () => {
  const manifest = manifestOf(Array(1024).fill(16 * 2 ** 20));
  let upper = 0;
  for (let seed = 0; seed < 400; seed++) {
    const { shards } = assignment(manifest, { seed: `${seed}`, worker: 'w', context: 64, shards_per_round: 1 });
    if (shards[0] >= 512) upper++;
  }
  assert.ok(upper > 150 && upper < 250, `${upper} of 400 in the upper half`);
});

test('a batch holds each window and its successors; a window past the end is refused', () => {
  const tokens = Uint16Array.from({ length: 10 }, (_, i) => 256 + i);
  const batch = batchFrom(
    [
      { tokens, offset: 0 },
      { tokens, offset: 6 },
    ],
    3,
  );
  assert.deepEqual([...batch.tokens], [256, 257, 258, 262, 263, 264]);
  assert.deepEqual([...batch.targets], [257, 258, 259, 263, 264, 265]);
  for (const offset of [7, -1]) assert.throws(() => batchFrom([{ tokens, offset }], 3), { code: 'bad-option' });
});

test('options out of range are refused', () => {
  const manifest = manifestOf([100, 100]);
  const good = { seed: 's', worker: 'w', context: 10, shards_per_round: 1 };
  for (const change of [
    { context: 100 },
    { context: 0 },
    { context: 1.5 },
    { shards_per_round: 0 },
    { shards_per_round: 1e6 },
  ]) {
    assert.throws(() => assignment(manifest, { ...good, ...change }), { name: 'DataError', code: 'bad-option' });
  }
  const { window } = assignment(manifest, good);
  for (const i of [-1, 0.5, Number.NaN]) assert.throws(() => window(i), { name: 'DataError', code: 'bad-option' });
});
