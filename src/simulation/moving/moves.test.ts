// Histories of runs that move between logs, a few seeds; `npm run simulate -- --moves` plays more.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { playMoves } from './play-moves.ts';
import { TRIES } from './tries.ts';

const SEEDS = 12;

test('a run is in one log at a time, brings all that it left with, and nothing of it counts twice, whatever is tried', async () => {
  const tried = new Set<string>();
  const sum = { rounds: 0, moves: 0, arrivals: 0 };
  for (let seed = 1; seed <= SEEDS; seed++) {
    const { violation, tries, ...outcome } = await playMoves(seed);
    assert.equal(violation, null, `seed ${seed}`);
    for (const what of Object.keys(sum) as (keyof typeof sum)[]) sum[what] += outcome[what];
    for (const what of tries.keys()) tried.add(what);
  }
  assert.deepEqual([...tried].sort(), Object.keys(TRIES).sort());
  const { rounds, moves, arrivals } = sum;
  assert.ok(rounds > SEEDS && arrivals > 2 * SEEDS, `${rounds} rounds, ${arrivals} of ${moves} moves`);
});

test('a history follows from its seed', async () => {
  assert.deepEqual(await playMoves(3), await playMoves(3));
});
