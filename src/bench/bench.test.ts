// Tests of the bench command: that it finds its benches, refuses nonsense in one line, and that `compute` measures.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { median } from '../training/statistics.ts';
import { runBench } from './bench.ts';
import * as compute from './compute.ts';
import * as pauses from './pauses.ts';
import { spread, table } from './report.ts';

function bench(...args: string[]) {
  return spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], {
    encoding: 'utf8',
    timeout: 240_000,
  });
}

describe('npm run bench', () => {
  test('lists its benches', () => {
    for (const args of [[], ['--help']]) {
      const { status, stdout } = bench(...args);
      assert.equal(status, 0);
      assert.match(stdout, /^ {2}compute +One training step/m);
      assert.doesNotMatch(stdout, /compute-engine|main|report/);
    }
  });

  test('every file that exports run declares its options', () => {
    for (const file of readdirSync(import.meta.dirname).filter((name) => /^[a-z-]+\.ts$/.test(name))) {
      const source = readFileSync(join(import.meta.dirname, file), 'utf8');
      if (/^export async function run\(/m.test(source)) assert.match(source, /^export const options = \{/m, file);
    }
  });

  for (const args of [['nothing-like-it'], ['../bench/compute'], ['compute', '--fast']]) {
    test(`refuses: bench ${args.join(' ')}`, () => {
      const { status, stdout, stderr } = bench(...args);
      assert.equal(status, 2);
      assert.equal(stdout, '');
      assert.match(stderr, /^bench: [^\n]+\n$/);
    });
  }

  // These in this process, as all benches that follow: a start costs more than they do.
  const refused = { name: 'BenchError', code: 'usage', message: /^[^\n]+$/ };
  for (const args of [
    ['--sizes', 'huge'],
    ['--engines', 'native,abacus'],
    ['--rounds', '0'],
    ['--threads', '1,x'],
    ['--python', './no/such/python'],
    ['--compile'],
  ]) {
    test(`refuses: bench compute ${args.join(' ')}`, () => assert.rejects(runBench('compute', compute, args), refused));
  }
  for (const args of [
    ['--tries', '0'],
    ['--seconds', 'x'],
  ]) {
    test(`refuses: bench pauses ${args.join(' ')}`, () => assert.rejects(runBench('pauses', pauses, args), refused));
  }
});

test('a bench whose network cannot begin ends, and the hub that it has started with it', () => {
  const { status, stderr } = bench('traffic', '--quick', '--data', './no/such/text');
  assert.equal(typeof status, 'number', 'still running after four minutes');
  assert.notEqual(status, 0);
  assert.match(stderr, /no\/such\/text/);
});

test('bench updates measures every part of an update, as JSON too', () => {
  const { status, stdout, stderr } = bench('updates', '--width', '16', '--json', '-');
  assert.equal(status, 0, stderr);
  const { parameters, costs } = JSON.parse(stdout);
  assert.equal(parameters, 2 * 256 * 16 + 16 + 4 * (4 * 16 * 16 + 3 * 16 * 48 + 2 * 16));
  assert.equal(Object.keys(costs).length, 5);
  for (const [what, ms] of Object.entries(costs)) assert.ok(Number(ms) >= 0, what);
  assert.equal(bench('updates', '--width', '17').status, 2);
});

describe('bench compute', () => {
  test('measures both engines, as a table and as JSON', () => {
    const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-'));
    try {
      const file = join(folder, 'compute.json');
      const { status, stdout, stderr } = bench('compute', '--quick', '--json', file);
      assert.equal(status, 0, stderr);
      assert.match(stdout, /tiny, 1 thread: native/);
      const { results } = JSON.parse(readFileSync(file, 'utf8'));
      assert.deepEqual(
        results.map(({ engine }: { engine: string }) => engine),
        ['native', 'wasm'],
      );
      for (const { step_ms, tokens_per_s, peak_bytes, loss, ratio } of results) {
        assert.ok(Math.abs((step_ms * tokens_per_s) / 1000 - 16) < 1e-6, 'a step of the tiny model is 16 tokens');
        assert.ok(peak_bytes > 2 ** 24 && loss > 0 && loss < Math.log(32) + 0.5);
        assert.equal(ratio, null, 'there is nothing to compare with');
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('a Python without torch is one clear line', () => {
    const { status, stderr } = bench('compute', '--quick', '--engines', 'native', '--python', process.execPath);
    assert.equal(status, 1);
    assert.match(stderr, /^bench: the engine torch has ended: [^\n]+\n$/);
  });
});

test('median and spread', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(spread([1, 2, 3, 4, 5]), 1);
  assert.equal(spread([7]), 0);
  assert.ok(Number.isNaN(median([])));
});

test('a table aligns its columns', () => {
  assert.equal(table(['a', 'bb'], [['long', '1']]), 'a     bb\n────  ──\nlong   1');
});
