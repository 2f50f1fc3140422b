// Tests of `bench adversaries`: seeds, intervals, what is kept of finished runs, and options that make no sense.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as adversaries from './adversaries.ts';
import { runBench } from './bench.ts';
import { interval95 } from './report.ts';

let folder = '';
let data = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
  data = join(folder, 'input.txt');
  // Enough for a validation split, and hard enough that something is learned.
  let number = 1;
  const letter = (): string => {
    number = (number * 48271) % 2147483647;
    return 'etaoin shrdlu'[number % 13];
  };
  writeFileSync(data, Array.from({ length: 60_000 }, letter).join(''));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const SMALL = ['--model', 'tiny', '--rounds', '1', '--steps', '2', '--validators', '3', '--lying-stake', '320'];

test('plays each row with each seed against the honest run of that seed, and keeps what is finished', async () => {
  const [results, json] = [join(folder, 'results.jsonl'), join(folder, 'rows.json')];
  const bench = async (seeds: string) => {
    await runBench('adversaries', adversaries, [
      '--data',
      data,
      ...SMALL,
      '--seeds',
      seeds,
      '--only',
      'veterans,colluders',
      '--results',
      results,
      '--json',
      json,
    ]);
    return JSON.parse(readFileSync(json, 'utf8')).rows;
  };
  const [once] = [await bench('1')];
  const rows = await bench('2');
  // Three rows with the first seed were there already.
  assert.equal(readFileSync(results, 'utf8').trim().split('\n').length, 6);
  assert.deepEqual(
    rows.map(({ name, measures }: { name: string; measures: unknown[] }) => [name, measures.length]),
    [
      ['nobody lies', 2],
      ['nobody lies, records of 100', 2],
      ['colluders', 2],
    ],
  );
  const [honest, , lying] = rows;
  assert.deepEqual(lying.measures[0], once[2].measures[0]);
  assert.equal(honest.measures[1].damage, 0);
  assert.notEqual(honest.measures[0].loss, honest.measures[1].loss);
  assert.deepEqual(
    lying.measures.map(({ pays, kept }: { pays: number[]; kept: number }) => [pays[0], kept]),
    [
      [0, 1],
      [0, 1],
    ],
  );
  assert.equal(lying.roles, 'workers, validators');
});

test('an interval is that of Student', () => {
  // By hand: mean 2, deviation 1, t of two degrees of freedom 4.303.
  const { mean, half } = interval95([1, 2, 3]);
  assert.equal(mean, 2);
  assert.ok(Math.abs(half - 4.303 / Math.sqrt(3)) < 1e-9);
  assert.deepEqual(interval95([7]), { mean: 7, half: 0 });
});

test('refuses a stake that an open run does not have', async () => {
  const open = ['--data', data, '--open', '--lying-stake', '320'];
  await assert.rejects(() => runBench('adversaries', adversaries, open), {
    code: 'usage',
    message: /in an open run all validators have the same/,
  });
  await assert.rejects(() => runBench('adversaries', adversaries, ['--data', data, '--lying', '1000']), {
    message: /from 1 to 999, got "1000"/,
  });
});
