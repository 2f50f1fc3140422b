// bench floods refuses nonsense before it starts anything, and says which bound what was felt breaks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBench } from './bench.ts';
import type { Felt } from './flood-honest.ts';
import * as floods from './floods.ts';
import { brokenBounds, FLOODS } from './floods.ts';

test('refuses options it does not know', async () => {
  for (const args of [['--fast'], ['--seconds', '0'], ['--seconds', 'many'], ['--only', 'no-such-flood']]) {
    await assert.rejects(runBench('floods', floods, args), { name: 'BenchError', code: 'usage' });
  }
});

test('each flood has a name of its own', () => {
  assert.equal(new Set(FLOODS.map(({ name }) => name)).size, FLOODS.length);
});

test('says what is felt too much, and nothing of what is not', () => {
  const times = { count: 100, refused: 0, p50_ms: 1, p99_ms: 250 };
  const felt: Felt = { health: times, uploads: { ...times, p99_ms: 1000 }, memory_mb: 400, processor: 0.5 };
  assert.deepEqual(brokenBounds(felt, 10), []);
  assert.deepEqual(brokenBounds({ ...felt, memory_mb: null }, 10), []);
  const broken: [Felt, number, RegExp][] = [
    [{ ...felt, health: { ...times, p99_ms: 251 } }, 0, /^health p99 251 ms/],
    [{ ...felt, uploads: { ...times, p99_ms: Number.NaN } }, 0, /^uploads p99/],
    [{ ...felt, uploads: { ...times, refused: 1 } }, 0, /^refused 1 /],
    [{ ...felt, memory_mb: 401 }, 0, /^memory 401 MB/],
    [felt, 11, /^back to normal after 11 s/],
  ];
  for (const [one, normal_s, said] of broken) {
    assert.equal(brokenBounds(one, normal_s).length, 1);
    assert.match(brokenBounds(one, normal_s)[0], said);
  }
});
