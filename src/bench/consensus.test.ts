// bench consensus runs, refuses nonsense, and its JSON has a figure for every variant.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'consensus', ...args], { encoding: 'utf8' });

test('measures every variant, and refuses options it does not know', () => {
  const { status, stdout, stderr } = bench('--quick', '--json', '-');
  assert.equal(status, 0, stderr);
  const [smallest] = JSON.parse(stdout);
  const names = Object.keys(smallest.milliseconds);
  assert.equal(names.length, 3);
  for (const name of names) assert.ok(smallest.milliseconds[name] > 0, name);
  assert.equal(bench('--fast').status, 2);
});
