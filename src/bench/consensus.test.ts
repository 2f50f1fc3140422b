// bench consensus runs, refuses nonsense, and its JSON has a figure.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'consensus', ...args], { encoding: 'utf8' });

test('measures a round, and refuses options it does not know', () => {
  const { status, stdout, stderr } = bench('--quick', '--json', '-');
  assert.equal(status, 0, stderr);
  const [smallest] = JSON.parse(stdout);
  assert.ok(smallest.milliseconds > 0);
  assert.equal(bench('--fast').status, 2);
});
