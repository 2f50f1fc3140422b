// bench serve measures both engines on a tiny model, in turns, and says what a token costs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'serve', ...args], { encoding: 'utf8' });

interface Row {
  readonly engine: string;
  readonly stored: string;
  readonly step_cpu_ms: number;
  readonly together_cpu_ms: number;
  readonly prompt_cpu_ms: number;
  readonly memory_bytes: number;
}

test('what a token costs in each engine and storage, as JSON', () => {
  const { status, stdout, stderr } = bench('--quick', '--tokens', '2', '--json', '-');
  assert.equal(status, 0, stderr);
  const rows: Row[] = JSON.parse(stdout).results;
  const own = rows.filter(({ engine }) => engine === 'own');
  assert.deepEqual(
    own.map(({ stored }) => stored),
    ['f32', 'q8_0'],
  );
  for (const row of rows) {
    for (const value of [row.step_cpu_ms, row.together_cpu_ms, row.prompt_cpu_ms, row.memory_bytes])
      assert.ok(value > 0);
    assert.ok(row.prompt_cpu_ms > row.step_cpu_ms, 'a prompt of many tokens costs more than a token');
  }
  assert.equal(bench('--rounds', 'many').status, 2);
});
