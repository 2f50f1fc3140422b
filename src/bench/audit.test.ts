// bench audit runs, refuses nonsense, removes what it wrote, and its JSON holds together.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as audit from './audit.ts';
import { runBench } from './bench.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'audit', ...args], { encoding: 'utf8' });

test('refuses options it does not know', async () => {
  for (const args of [['--fast'], ['--events', '5']]) {
    await assert.rejects(runBench('audit', audit, args), { name: 'BenchError', code: 'usage', message: /^[^\n]+$/ });
  }
});

test('measures, as JSON, and leaves nothing behind', () => {
  const { status, stdout, stderr } = bench('--events', '1000', '--signed', '1000', '--dir', folder, '--json', '-');
  assert.equal(status, 0, stderr);
  const { measured } = JSON.parse(stdout);
  assert.equal(measured.length, 5);
  for (const { what, events, seconds, per_s, per_cpu_s } of measured) {
    assert.ok(events === 1000 && seconds > 0 && per_s > 0 && per_cpu_s > 0, what);
  }
  assert.deepEqual(readdirSync(folder), []);
});
