// bench tokenizers measures every kind on both texts and refuses nonsense.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { KINDS } from '../model/testing/vocabulary.ts';

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'tokenizers', ...args], { encoding: 'utf8' });

test('megabytes a second of each kind, as JSON', () => {
  const { status, stdout, stderr } = bench('--mb', '0.1', '--json', '-');
  assert.equal(status, 0, stderr);
  const rows: { kind: string; tokens: number; mb_per_cpu_second: number }[] = JSON.parse(stdout);
  assert.deepEqual(
    rows.map(({ kind }) => kind),
    KINDS.flatMap((kind) => [kind, kind]),
  );
  for (const { tokens, mb_per_cpu_second } of rows) assert.ok(tokens > 1000 && mb_per_cpu_second > 0);
  assert.equal(bench('--mb', 'many').status, 2);
});
