// bench cartels plays, counts, compares and says which bound is missed; a few rounds of it show what the rules do about silence.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { playCartel } from '../simulation/cartel-play.ts';
import { CARTEL_ROWS, rosterOf } from '../simulation/cartel-rows.ts';
import type { Played } from '../simulation/cartel-watch.ts';
import { figuresOf, missed } from './cartels-figures.ts';
import { interval95 } from './report.ts';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'cartels', ...args], { encoding: 'utf8' });

const played = (more: Partial<Played>): Played => ({
  ...{ rounds: 10, round_ms: 1000, appealed_rounds: 0, honest_shares: 100, honest_forfeited: 0, honest_works: 70 },
  ...{ honest_refused: 0, lying_shares: 0, lies: 0, lies_accepted: 0, truths_accepted: 0, events: 1, ...more },
});

test('a few rounds: lies and honest work are counted, and the bench ends as its bounds say', () => {
  const { status, stdout, stderr } = bench(
    '--rounds',
    '3',
    '--seeds',
    '1',
    '--validators',
    '4',
    '--only',
    'bribed judges',
    '--json',
    '-',
  );
  const { figures } = JSON.parse(stdout);
  assert.deepEqual(
    figures.map(({ row }: { row: string }) => row),
    ['nobody lies', 'bribed judges'],
  );
  const [honest, bribed] = figures;
  assert.deepEqual([honest.times.mean, honest.refused.mean, honest.kept.mean], [1, 0, 1]);
  assert.ok(bribed.seconds.mean > honest.seconds.mean && bribed.appealed.mean > 0, stdout);
  assert.equal(status, stderr.includes('bounds missed: ') ? 1 : 0);
  assert.equal(bench('--only', 'angels').status, 2);
});

test('judges who keep silent are replaced within the round, whose work is judged by three, and are seated no more', async () => {
  const row = CARTEL_ROWS.find(({ name }) => name === 'silent judges')!;
  const { honest_refused, appealed_rounds, round_ms } = await playCartel(rosterOf(row, 10), 4, 1, row.conspire());
  assert.deepEqual([honest_refused, appealed_rounds], [0, 0]);
  // Who takes a place must be told at once: each round would last to its last deadline.
  assert.ok(round_ms < 30_000, `a round takes ${round_ms} ms`);
});

test('bounds are held by the mean; honest work of liars is no lie, and what they lost counts', () => {
  assert.deepEqual(interval95([1, 1, 1]), { mean: 1, half: 0 });
  assert.ok(Math.abs(interval95([1, 2, 3]).half - 4.303 / Math.sqrt(3)) < 1e-9);
  const base = [played({})];
  const of = (more: Partial<Played>) => figuresOf('a row', 10, [played(more)], base);
  assert.deepEqual(missed(of({})), []);
  assert.equal(of({ lies: 10, lying_shares: 10 }).pay_for_lies.mean, 0.1);
  assert.equal(of({ lies: 10, truths_accepted: 10, lying_shares: 90 }).pay_for_lies.mean, -0.1);
  assert.equal(of({ truths_accepted: 70, honest_shares: 50 }).kept.mean, 1);
  const names = (more: Partial<Played>) => missed(of(more)).map((line) => line.split(' ')[0]);
  assert.deepEqual(names({ round_ms: 1301 }), ['times']);
  assert.deepEqual(names({ lies: 10, lying_shares: 6 }), ['pay_for_lies']);
  assert.deepEqual(names({ honest_refused: 1 }), ['refused']);
  assert.deepEqual(names({ honest_shares: 97 }), ['kept']);
});
