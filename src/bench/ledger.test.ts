// bench ledger runs, refuses nonsense, removes what it wrote, and its JSON holds together.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runBench } from './bench.ts';
import * as ledger from './ledger.ts';

const folder = mkdtempSync(join(tmpdir(), 'potluck-bench-test-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), 'ledger', ...args], { encoding: 'utf8' });

test('refuses options it does not know', async () => {
  for (const args of [['--fast'], ['--events', '5'], ['--events', 'many'], ['--dir', join(folder, 'absent')]]) {
    await assert.rejects(runBench('ledger', ledger, args), { name: 'BenchError', code: 'usage', message: /^[^\n]+$/ });
  }
});

test('measures, as JSON, and leaves nothing behind', () => {
  const { status, stdout, stderr } = bench('--events', '10000', '--dir', folder, '--json', '-');
  assert.equal(status, 0, stderr);
  const { rates, stages } = JSON.parse(stdout);
  assert.equal(rates.length, 8);
  for (const { what, per_s, per_cpu_s } of rates) assert.ok(per_s > 0 && per_cpu_s > 0, what);
  assert.deepEqual(
    stages.map(({ events }: { events: number }) => events),
    [10_000],
  );
  assert.ok(stages[0].checkpoint_and_proof_ms > 0 && stages[0].file_bytes > 10_000 * 200);
  assert.deepEqual(readdirSync(folder), []);
});
